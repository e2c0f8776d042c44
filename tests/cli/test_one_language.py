"""Pictures and phrases as styles of one network: takes, blends, and what a phrase leans on."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from conftest import Stylize, draw
from PIL import Image


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), dtype=np.float32)


def test_image_paints_after_pictures_phrases_and_both(stylize: Stylize, tmp_path: Path) -> None:
    draw(tmp_path / "photo.png", 96, 80, seed=1)
    draw(tmp_path / "starry.png", 80, 80, seed=2)
    result = stylize(
        *("image", "photo.png", "-v", "-s", "starry.png", "--prompt", "ukiyo-e", "--takes", "2"),
        *("--blend", 'starry.png:0.5,"pop art":0.5'),
    )
    assert result.returncode == 0, result.stderr
    assert re.search(r"'ukiyo-e' leans on [A-Z][\w ]+, ukiyo-e \d+ %", result.stderr.decode())
    names = ["starry", "ukiyo-e", "ukiyo-e-2", "starry50-pop-art50", "starry50-pop-art50-2"]
    painted = [pixels(tmp_path / f"photo.{name}.png") for name in names]
    for i, one in enumerate(painted):
        assert all(np.abs(one - other).mean() > 8 for other in painted[:i])


def test_the_seed_gives_another_take(stylize: Stylize, tmp_path: Path) -> None:
    draw(tmp_path / "photo.png", 96, 80, seed=1)
    for seed in ("0", "1"):
        paint = ("image", "photo.png", "--prompt", "Vincent van Gogh", "--model", "stylerwkv-s")
        assert stylize(*paint, "--seed", seed, "-o", f"{seed}.png").returncode == 0
    assert np.abs(pixels(tmp_path / "0.png") - pixels(tmp_path / "1.png")).mean() > 8


def test_a_network_that_reads_styles_otherwise_says_so(stylize: Stylize, tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    from stylecli.weights import locate

    draw(tmp_path / "photo.png", 96, 80, seed=1)
    file = locate("stylerwkv-s")
    with safe_open(file, "pt") as stored:
        said = stored.metadata()
    tensors = load_file(file)
    tensors["style_encoder.stem.weight"] = tensors["style_encoder.stem.weight"].flip(0)
    save_file(tensors, tmp_path / "own.safetensors", said)
    result = stylize("image", "photo.png", "--prompt", "ukiyo-e", "--model", "own.safetensors")
    assert result.returncode == 2
    assert "trained with another style encoder" in result.stderr.decode()


def test_a_sheet_of_phrases_and_of_styles(stylize: Stylize, tmp_path: Path) -> None:
    draw(tmp_path / "photo.png", 96, 80, seed=1)
    (tmp_path / "styles").mkdir()
    draw(tmp_path / "styles" / "a.png", 80, 80, seed=2)
    (tmp_path / "styles" / "b.png").write_bytes(b"no picture")
    (tmp_path / "phrases.txt").write_text("# movements\nukiyo-e\n\n  pop art  \n", encoding="utf-8")
    both = ("sheet", "photo.png", "--phrases", "phrases.txt", "--max-size", "96")
    assert stylize(*both, "-o", "said.png").returncode == 0
    result = stylize(*both, "-s", "styles", "-o", "all.png")
    assert result.returncode == 1
    lines = result.stderr.decode()
    assert "3 of 4 styles on all.png" in lines and "failed styles/b.png: " in lines
    assert pixels(tmp_path / "all.png").shape != pixels(tmp_path / "said.png").shape
    shared = stylize(*both, "-s", "styles", "-o", "shared.png", "--jobs", "2")
    assert shared.returncode == 1
    lines = shared.stderr.decode()
    assert "3 of 4 styles on shared.png" in lines and "failed styles/b.png: " in lines
    assert np.array_equal(pixels(tmp_path / "shared.png"), pixels(tmp_path / "all.png"))
    again = stylize(*both, "-s", "styles", "-o", "shared.png")
    assert "exists already" in again.stderr.decode()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    for content, says in (
        (b"# nothing\n", "no phrase in it"),
        (b"\xff\xfe\x00", "cannot be read"),
        (None, "cannot"),
    ):
        file = tmp_path / "bad.txt"
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        result = stylize("sheet", "photo.png", "--phrases", "bad.txt", "-o", "bad.png")
        assert result.returncode == 2 and f"--phrases bad.txt: {says}" in result.stderr.decode()
    refused = stylize("sheet", "photo.png", "--phrases", "phrases.txt", "-o", "phrases.txt")
    assert refused.returncode == 2
    assert "--styles DIR, or --phrases FILE" in stylize("sheet", "photo.png").stderr.decode()
