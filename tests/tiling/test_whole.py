"""What looks at the whole image, accumulated over strips, against the operators themselves."""

import pytest
import torch

from stylecli.errors import OutOfMemoryError
from stylecli.models.style_mamba import tiling as mamba_tiling
from stylecli.models.style_mamba.blocks import scan_along
from stylecli.models.style_rwkv import tiling as rwkv_tiling
from stylecli.models.style_rwkv.blocks import wkv_of_map
from stylecli.ops.overridable import mean_std
from stylecli.ops.selective_scan.of_map import Recurrence
from stylecli.ops.skip_scan import skip_scan_order
from stylecli.tiling import Grid, LazyFeatureMap, sweep, whole
from stylecli.tiling.scanning import segments

SIZES = [(1, 1), (1, 40), (40, 1), (37, 23), (64, 16)]


def strips_of(x, axis, rows=16):
    strips = LazyFeatureMap(Grid(x.shape[axis], rows, x.device), x.shape, x.dtype, axis=axis)
    strips.keep(x.clone())
    return strips


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    for module in (rwkv_tiling, mamba_tiling):
        monkeypatch.setattr(module, "TOKENS", 60)
    monkeypatch.setattr(whole, "_NUMBERS", 500)


@pytest.fixture
def random():
    return torch.Generator().manual_seed(2)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("skip", [1, 2, 3])
def test_segments_are_the_order_of_the_scan(size, columns, skip):
    H, W = size
    raster = torch.arange(H * W).view(1, H, W, 1)
    seen = [part.take(raster, raster.device).flatten() for part in segments(H, W, skip, columns, 50)]
    assert torch.equal(torch.cat(seen), skip_scan_order(H, W, skip, columns)[0])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("skip", [1, 2])
def test_bi_wkv(random, size, columns, skip):
    k, v = (torch.randn(2, *size, 5, generator=random) * scale for scale in (8, 1))
    w, u = torch.tensor([-3.0, 0.0, 0.5, 20.0, 60.0]), torch.randn(5, generator=random)
    expected = wkv_of_map(w, u, k, v, skip, columns)
    result = wkv_of_map(w, u, strips_of(k, 1), strips_of(v, 1), skip, columns).whole()
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


def test_keys_that_differ_by_more_than_floats_hold(random):
    k, v = torch.randn(1, 96, 8, 3, generator=random), torch.randn(1, 96, 8, 3, generator=random)
    k[:, 40:60] += 150  # exp(150) is no float32
    w, u = torch.full((3,), 5.0), torch.zeros(3)
    result = wkv_of_map(w, u, strips_of(k, 1), strips_of(v, 1), 1, False).whole()
    torch.testing.assert_close(result, wkv_of_map(w, u, k, v, 1, False), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("direction", range(4))
def test_selective_scan(random, size, direction):
    rank, D, N = 2, 5, 3
    u, dt_B_C = (
        torch.randn(2, *size, D, generator=random),
        torch.randn(2, *size, rank + 2 * N, generator=random),
    )
    by = Recurrence(
        torch.randn(rank, D, generator=random),
        torch.full((D,), -3.0),
        -torch.exp(2 * torch.randn(D, N, generator=random)),
        torch.randn(D, generator=random),
    )
    expected = scan_along(u, dt_B_C, by, direction)
    result = scan_along(strips_of(u, 1), strips_of(dt_B_C, 1), by, direction).whole()
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-4)


def test_statistics_far_from_zero(random):
    x = 1000 + torch.randn(2, 4, 50, 30, generator=random)
    for result, expected in zip(mean_std(strips_of(x, 2)), mean_std(x.double()), strict=True):
        torch.testing.assert_close(result, expected.float(), rtol=1e-4, atol=1e-4)


def test_a_strip_that_does_not_fit_is_halved_and_the_rest_goes_on():
    asked = []

    def read(top, bottom):
        asked.append((top, bottom))
        if bottom - top > 40:
            raise MemoryError
        return torch.arange(top, bottom).view(1, 1, -1, 1).float()

    source = LazyFeatureMap(Grid(300, 128, torch.device("cpu")), (1, 1, 300, 1), torch.float32, read=read)
    assert torch.equal((source * 2).whole().flatten(), 2.0 * torch.arange(300))
    assert asked[:4] == [
        (0, 128),
        (0, 64),
        (0, 32),
        (32, 64),
    ]  # at the same place, and no more at the old height


def test_no_memory_at_all_is_said():
    def read(top, bottom):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    source = LazyFeatureMap(Grid(300, 128, torch.device("cpu")), (1, 1, 300, 1), torch.float32, read=read)
    with pytest.raises(OutOfMemoryError, match="not enough memory even for the smallest strips"):
        list(sweep(source))


def test_memory_is_given_back_with_the_last_use():
    import weakref

    x = strips_of(torch.rand(1, 4, 64, 8), 2)
    held = (x * 2).materialize()
    kept = weakref.ref(held)
    after = (held + 1).materialize()
    del held
    assert kept() is None and after.kept is not None  # no circle that waits for the garbage collector
