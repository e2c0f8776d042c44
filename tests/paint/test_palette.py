"""A photograph in the colours of a style, and with nothing of its strokes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import draw
from film_kit import Film, look
from PIL import Image

from stylecli.__main__ import _run
from stylecli.errors import UsageError
from stylecli.paint.palette import Palette, from_oklab, to_oklab
from stylecli.paint.stylizer import Stylizer


def picture(seed: int, height: int = 60, width: int = 80) -> torch.Tensor:
    """Soft colours away from the ends of the range, (1, 3, H, W)."""
    coarse = torch.rand(1, 3, 5, 6, generator=torch.Generator().manual_seed(seed))
    return 0.3 + 0.4 * torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)


def test_there_and_back_and_the_known_values_of_oklab() -> None:
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.2, 0.5, 0.8]]).T[
        None, :, None
    ]
    lab = to_oklab(colours)
    assert torch.allclose(lab[0, :, 0, 0], torch.tensor([1.0, 0.0, 0.0]), atol=1e-3)
    assert torch.allclose(lab[0, :, 0, 1], torch.tensor([0.628, 0.2249, 0.1258]), atol=1e-3)  # Ottosson's
    assert torch.allclose(from_oklab(lab), colours, atol=1e-3)


def test_mean_and_covariance_become_the_styles_and_a_palette_its_own() -> None:
    photo, style = picture(0), picture(1)
    made = Palette.of(Palette.of(style).recolour(photo, Palette.of(photo)))
    assert torch.allclose(made.mean, Palette.of(style).mean, atol=2e-3)
    assert torch.allclose(made.covariance, Palette.of(style).covariance, atol=4e-4)
    assert torch.allclose(Palette.of(photo).recolour(photo, Palette.of(photo)), photo, atol=1e-3)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_an_even_photograph_gives_an_even_picture(level: float) -> None:
    photo, style = torch.full((1, 3, 32, 32), level), Palette.of(picture(1))
    made = style.recolour(photo, Palette.of(photo))
    assert made.isfinite().all() and made.std((2, 3)).max() < 1e-6
    noisy = (photo + 0.004 * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    assert style.recolour(noisy, Palette.of(noisy)).std((2, 3)).max() < 0.1


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    return Stylizer.from_pretrained(device="cpu").encode_style(picture(1))


def test_every_kind_of_picture_comes_back_in_its_kind(stylizer: Stylizer) -> None:
    photo = picture(2, 300, 200)
    made = stylizer(photo, colour_only=True)
    rows = (photo[0].permute(1, 2, 0).numpy() * 65535).astype(np.uint16)
    wide = stylizer(rows, colour_only=True)
    assert wide.dtype == np.uint16 and np.abs(wide / 65535 - made[0].permute(1, 2, 0).numpy()).max() < 1e-3
    # One map for all pixels: a cut of the same palette, whatever lies beside it, and no new edges.
    two = torch.cat([photo, photo.flip(-1)])
    assert torch.allclose(stylizer(two, colour_only=True)[1], made[0].flip(-1), atol=1e-4)
    half = stylizer(photo, colour_only=True, strength=0.5)
    assert torch.allclose(half, (made + photo) / 2, atol=1e-5)
    lightness = [to_oklab(x)[0, 0].flatten() for x in (photo, made)]
    assert torch.corrcoef(torch.stack(lightness))[0, 1] > 0.9
    with pytest.raises(UsageError, match="neither"):
        stylizer(photo, colour_only=True, preserve_color=True)


def test_pictures_phrases_and_films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png", 96, 64)
    for name, seed in (("s.png", 1), ("t.png", 3)):
        Image.fromarray((picture(seed)[0].permute(1, 2, 0) * 255).byte().numpy()).save(name)
    Film(frames=3).write(tmp_path / "f.mp4")
    assert _run(["image", "a.png", "-s", "s.png", "-p", "ukiyo-e", "--color-only"]) == 0
    assert _run(["image", "a.png", "--blend", "s.png,t.png", "--colour-only"]) == 0
    before, a, b = (
        np.asarray(Image.open(name)).astype(int) for name in ("a.png", "a.s.png", "a.ukiyo-e.png")
    )
    assert np.abs(a - before).mean() > 3 and np.abs(b - before).mean() > 3 and np.abs(a - b).mean() > 3
    assert _run(["video", "f.mp4", "-s", "s.png", "--colour-only"]) == 0
    assert len(look(tmp_path / "f.s.mp4").pictures) == 3
    capsys.readouterr()
    assert _run(["image", "a.png", "-s", "s.png"]) == 1
    assert "(colour-only on, now off)" in capsys.readouterr().err
    for other in (["--luma-only"], ["--preserve-colour"], ["--refine", "3"], ["--polish", "3"]):
        assert _run(["image", "a.png", "-s", "s.png", "--colour-only", *other]) == 2
        assert "none of its strokes: drop" in capsys.readouterr().err
