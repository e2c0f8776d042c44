"""To the working size and back by the compiled kernels, where arrays are painted on a CPU: what strips in plain torch
give."""

import numpy as np
import pytest
import torch
from PIL import Image

from stylecli.errors import InputError
from stylecli.ops import build
from stylecli.ops.enlarge import enlarge_reference, enlarged, packed, usable
from stylecli.ops.shrink import shrink
from stylecli.paint.forward import fill
from stylecli.paint.photo import Canvas, Photo
from stylecli.paint.size import resize

CPU = torch.device("cpu")
# Of the photograph and of the painting; also more than a tile of the kernel in both directions.
SIZES = [
    ((90, 70), (31, 24)),
    ((64, 301), (16, 75)),
    ((300, 700), (17, 40)),
    ((3, 5), (2, 3)),
    ((17, 16), (16, 16)),
]


def filled(photo, size, mode, monkeypatch, keeps_colour=False, painted=None):
    given = Photo(photo)
    monkeypatch.setenv("STYLIZE_KERNELS", "off")
    small = Photo(resize(given, size, CPU))
    monkeypatch.setenv("STYLIZE_KERNELS", mode)
    canvas = Canvas(given)
    if painted is None:
        painted = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    fill(canvas, painted, small, given, CPU, keeps_colour)
    return canvas.done()


@pytest.fixture(autouse=True)
def compiled():
    if build.load() is None:
        pytest.skip("no C++ compiler here")
    # Else strips were compared with strips.
    assert usable(torch.rand(2, 2, 8)) and shrink(np.zeros((4, 4, 3), np.uint8), (2, 2)) is not None


def photograph(size, dtype):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    return pixels if dtype == np.uint8 else pixels.astype(np.float32) / 255


@pytest.mark.parametrize("keeps_colour", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(("size", "small"), SIZES)
def test_kernel_and_strips_agree(monkeypatch, size, small, dtype, keeps_colour):
    photo = photograph(size, dtype)
    fast, plain = (filled(photo, small, mode, monkeypatch, keeps_colour) for mode in ("auto", "off"))
    assert fast.dtype == dtype and fast.std() > 0
    apart = np.abs(fast.astype(np.float64) - plain)
    if dtype == np.uint8:  # rounding may go either way where it is close
        assert apart.max() <= 1 and (apart > 0).mean() < 1e-3
    else:
        assert apart.max() < 1e-5  # torch takes places across in float32


@pytest.mark.parametrize("keeps_colour", [False, True])
def test_kernel_agrees_with_the_formula(keeps_colour):
    painted, guide, gain = torch.rand(3, 20, 30), torch.rand(1, 20, 30), 2.5 * torch.rand(3, 20, 30) - 1
    small, photo = packed(painted, guide, gain), torch.rand(67, 80, 3)
    result = enlarged(small, photo, keeps_colour)
    torch.testing.assert_close(
        result.double(), enlarge_reference(small, photo, keeps_colour), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(
    ("size", "small"), [*SIZES, ((8, 90), (16, 90)), ((1, 1), (16, 16)), ((99, 98), (98, 97))]
)
def test_shrinking(monkeypatch, size, small, dtype):
    photo = Photo(photograph(size, dtype))
    fast = resize(photo, small, CPU)
    monkeypatch.setenv("STYLIZE_KERNELS", "off")
    torch.testing.assert_close(fast, resize(photo, small, CPU), atol=1e-5, rtol=0)
    assert fast.min() >= 0 and fast.max() <= 1


def test_pictures_of_every_kind(monkeypatch):
    """Of Pillow, which nobody may write to; arrays with gaps and 16 bits, which strips take; all become the same."""
    pixels = photograph((90, 70), np.uint8)
    expected = filled(pixels, (31, 24), "auto", monkeypatch)
    gaps = np.concatenate([pixels, pixels], 1)[:, :70]
    picture = filled(Image.fromarray(pixels), (31, 24), "auto", monkeypatch)
    assert isinstance(picture, Image.Image) and np.array_equal(np.asarray(picture), expected)
    assert np.abs(filled(gaps, (31, 24), "auto", monkeypatch).astype(int) - expected).max() <= 1
    deep = filled(pixels.astype(np.uint16) * 257, (31, 24), "auto", monkeypatch)
    assert np.abs(deep / 257 - expected).max() < 0.51


def test_values_that_are_no_numbers_are_refused(monkeypatch):
    painted = torch.full((1, 3, 31, 24), 0.5)
    painted[0, 1, 7, 7] = torch.nan
    with pytest.raises(InputError, match="no numbers"):
        filled(photograph((90, 70), np.uint8), (31, 24), "auto", monkeypatch, painted=painted)
