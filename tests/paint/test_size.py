"""To the working size and back, strip by strip: what torch gives at once, whatever the strips."""

import itertools
import resource
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from stylecli.paint import pixels as rows
from stylecli.paint.photo import Canvas, Framed, Photo, strips_on
from stylecli.paint.size import enlarge_with_detail, resize


@pytest.fixture(params=[1 << 19, 900], ids=["at once", "in strips"])
def pixels(request, monkeypatch):
    monkeypatch.setattr(rows.strips, "__defaults__", (request.param,))
    return request.param


SIZES = [
    ((90, 70), (31, 24)), ((64, 301), (16, 75)), ((50, 40), (50, 40)), ((8, 90), (16, 90)), ((1, 1), (16, 16)),
    ((99, 98), (98, 97)),
]  # fmt: skip


@pytest.mark.parametrize(("size", "small"), SIZES)
@pytest.mark.usefixtures("pixels")
def test_shrinking(size, small):
    photo = torch.rand(2, 3, *size)
    expected = F.interpolate(photo, size=small, mode="bicubic", antialias=True).clamp(0, 1)
    torch.testing.assert_close(resize(Photo(photo), small), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("size", "small"), [case for case in SIZES if case[0][0] >= case[1][0]])
@pytest.mark.usefixtures("pixels")
def test_enlarging(size, small):
    photo = torch.rand(1, 3, *size)
    content = resize(Photo(photo), small)
    painted = (0.8 * content + 0.2 * torch.rand_like(content)).clamp(0, 1)
    at_once = enlarge_with_detail(painted, Photo(content), photo, 0, size[0])
    parts = [
        enlarge_with_detail(painted, Photo(content), photo[:, :, top:bottom], top, size[0])
        for top, bottom in rows.strips(*size)
    ]
    torch.testing.assert_close(torch.cat(parts, 2), at_once, atol=1e-5, rtol=0)


def test_what_is_enlarged_is_what_torch_enlarges():
    """With a photograph of one colour there is no detail to be given back."""
    painted, grey = torch.rand(1, 3, 20, 30), torch.full((1, 3, 20, 30), 0.5)
    expected = F.interpolate(painted, size=(67, 80), mode="bicubic").clamp(0, 1)
    result = enlarge_with_detail(painted, Photo(grey), torch.full((1, 3, 67, 80), 0.5), 0, 67)
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=0)


def test_a_photograph_sent_as_bytes_gives_the_same_floats(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    photo = Photo(Image.fromarray(pixels))  # whose numbers nobody may write to
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sent = photo.on(torch.device("cpu"))
    assert sent is not photo
    for rows_of in (lambda p: p.rows(2, 5), lambda p: p.picked([3, 1, 1], [6, 0]), lambda p: p.all()):
        assert torch.equal(rows_of(sent), rows_of(photo))
    for other in (Photo(torch.rand(3, 9, 7)), Photo(np.zeros((9, 7, 3), np.uint16))):
        assert other.on(torch.device("cpu")) is other
    monkeypatch.setattr("stylecli.paint.photo.free_on", lambda device: 8 * 9 * 7 * 3 - 1)
    assert photo.on(torch.device("cpu")) is photo


def test_strips_are_large_on_a_card_with_memory(monkeypatch):
    card, size = SimpleNamespace(type="cuda"), (6000, 8000)
    counts = []
    for room in (64 << 30, 4 << 30, None, 0):
        monkeypatch.setattr("stylecli.paint.photo.free_on", lambda device, room=room: room)
        parts = [*strips_on(card, *size)]
        assert parts[0][0] == 0 and parts[-1][1] == size[0]
        assert all(one[1] == other[0] for one, other in itertools.pairwise(parts))
        counts.append(len(parts))
    on_cpu = len([*strips_on(torch.device("cpu"), *size)])
    assert counts[0] < counts[1] < counts[2] < counts[3] == on_cpu
    monkeypatch.setattr("stylecli.paint.photo.free_on", lambda device: 64 << 30)
    assert counts[0] < len([*strips_on(card, *size, batch=16)]) < on_cpu


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (40, 50)])
def test_a_mirrored_margin(size):
    x = torch.rand(1, 3, *size)
    framed = Framed(Photo(x), 16)
    pad = (framed.left, framed.left, framed.top, framed.top)
    whole = torch.cat([framed.rows(y, y + 1) for y in range(framed.height)], 2)
    assert torch.equal(whole, F.pad(x, pad, mode="reflect"))
    assert torch.equal(framed.rows(0, framed.height), whole)
    assert torch.equal(framed.without(whole), x)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_canvas_is_of_the_photographs_kind(dtype):
    scale = np.iinfo(dtype).max if dtype != np.float32 else 1
    given = (np.random.default_rng(0).random((9, 7, 3)) * scale).astype(dtype)
    photo = Photo(given)
    canvas = Canvas(photo)
    for top in range(0, 9, 2):
        canvas.put(top, photo.rows(top, min(9, top + 2)))
    result = canvas.done()
    assert result.dtype == dtype and result.shape == given.shape
    assert np.abs(result.astype(np.float64) - given).max() <= (1 if dtype == np.uint16 else 0)


def test_dither_is_even_and_does_not_know_of_strips():
    whole = rows.threshold(0, 64, 64)
    parts = np.concatenate([rows.threshold(0, 10, 64), rows.threshold(10, 64, 64)])
    assert (whole == parts).all() and whole.min() >= 0 and whole.max() < 1
    assert abs(whole.mean() - 0.5) < 0.01


def test_a_narrow_picture_takes_little_memory() -> None:
    tall = Photo(np.zeros((24_000, 1, 3), np.uint8))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert resize(tall, (24_000, 16)).shape == (1, 3, 24_000, 16)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KB; it was 2.3 GB
