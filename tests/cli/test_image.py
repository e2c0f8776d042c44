"""``stylize image`` end to end: real files, the real network, a process of its own."""

from __future__ import annotations

import json
import math
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from conftest import Stylize, draw
from PIL import Image


def tree(folder: Path) -> dict[str, bytes]:
    """Everything below ``folder``, hidden files too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def lines(output: bytes) -> list[str]:
    return output.decode().splitlines()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three pictures, one of them in a folder within the folder, and two files that are none."""
    folder = tmp_path / "photos"
    draw(folder / "lake.jpg", 96, 64, seed=1)
    draw(folder / "tree.png", 33, 65, seed=2)
    draw(folder / "trip" / "lake.jpg", 64, 64, seed=3)
    (folder / "text.jpg").write_text("this is no picture")
    (folder / "random.png").write_bytes(bytes(range(256)) * 8)
    (folder / "notes.txt").write_text("not looked at")
    return folder


@pytest.mark.usefixtures("styles")
def test_a_folder_then_the_same_again(stylize: Stylize, photos: Path) -> None:
    before = tree(photos)
    command = ("image", "photos", "-r", "--style", "starry.jpg")

    first = stylize(*command)
    assert first.returncode == 1, first.stderr
    assert first.stdout == b""
    failed = [line for line in lines(first.stderr) if line.startswith("failed ")]
    assert [line.split(":")[0] for line in failed] == ["failed photos/random.png", "failed photos/text.jpg"]
    assert lines(first.stderr)[-1].startswith("3 done, 2 failed in ")
    made = tree(photos)
    new = {name: data for name, data in made.items() if name not in before}
    assert set(new) == {"lake.starry.jpg", "tree.starry.png", "trip/lake.starry.jpg"}
    assert {name: made[name] for name in before} == before  # inputs untouched
    for name, data in new.items():
        source = Image.open(BytesIO(before[name.replace(".starry", "")]))
        result = Image.open(BytesIO(data))
        assert (result.size, result.format) == (source.size, source.format)

    # Again, with one of the bad files gone: nothing is done, the network is not even loaded.
    (photos / "random.png").unlink()
    again = stylize(*command)
    assert again.returncode == 1
    said = again.stderr.decode()
    assert "3 of 4 exist already" in said
    assert "left out as results of an earlier run" in said
    assert "0 done, 1 failed, 3 skipped" in said

    (photos / "text.jpg").unlink()
    third = stylize(*command)
    assert third.returncode == 0
    assert "everything done already: 3 of 3 exist, use --overwrite" in third.stderr.decode()
    assert {name: data for name, data in tree(photos).items() if name in made} == tree(photos)
    assert tree(photos)["lake.starry.jpg"] == made["lake.starry.jpg"]

    # The results carry a mark: another style does not paint the paintings.
    other = stylize(*command[:-1], "wave.png", "--dry-run", "--json")
    planned = [json.loads(line)["source"] for line in lines(other.stdout)]
    assert planned == ["photos/lake.jpg", "photos/tree.png", "photos/trip/lake.jpg"]


@pytest.mark.usefixtures("styles")
def test_styles_and_blends_into_a_mirrored_tree_with_json(stylize: Stylize, photos: Path) -> None:
    done = stylize(
        *("image", "photos", "missing.jpg", "-r", "-o", "out", "--json", "--max-size", "48"),
        *("--style", "starry.jpg", "--style", "wave.png", "--blend", "starry.jpg:3,wave.png:1"),
        *("--format", "webp", "--quality", "80"),
    )
    assert done.returncode == 1
    events = [json.loads(line) for line in lines(done.stdout)]
    finished = [event for event in events if event["event"] == "done"]
    assert [event["target"] for event in finished[:3]] == [
        "out/lake.starry.webp",
        "out/lake.wave.webp",
        "out/lake.starry75-wave25.webp",
    ]
    assert len(finished) == 9
    assert (finished[0]["source"], finished[0]["style"]) == ("photos/lake.jpg", "starry")
    assert (finished[0]["width"], finished[0]["height"]) == (48, 32)
    assert finished[0]["seconds"] > 0
    failed = [event for event in events if event["event"] == "failed"]
    assert {event["source"] for event in failed} == {"missing.jpg", "photos/text.jpg", "photos/random.png"}
    assert all(event["reason"] and "\n" not in event["reason"] for event in failed)
    assert events[-1].items() >= {"event": "summary", "done": 9, "failed": 7, "skipped": 0}.items()

    out = photos.parent / "out"
    assert {Path(name).parent.name for name in tree(out)} == {"", "trip"}
    results = [
        np.asarray(Image.open(out / f"lake.{style}.webp").convert("RGB"), dtype=float)
        for style in ("starry", "wave", "starry75-wave25")
    ]
    assert results[0].shape == (32, 48, 3)
    distances = [np.abs(results[a] - results[b]).mean() for a, b in ((0, 2), (1, 2), (0, 1))]
    assert min(distances) > 1  # three different pictures,
    assert distances[0] < distances[2]  # and the blend lies nearer to its larger part


def test_overwrite_and_how_to_paint(stylize: Stylize, tmp_path: Path, styles: list[Path]) -> None:
    photo, result = draw(tmp_path / "photo.png", 72, 64, seed=5), tmp_path / "photo.starry.png"
    command = ("image", photo.name, "--style", "starry.jpg")

    def paint(*options: str) -> np.ndarray:
        done = stylize(*command, *options)
        assert done.returncode == 0, done.stderr
        return np.asarray(Image.open(result).convert("RGB"), dtype=float)

    plain = paint()
    written = result.stat().st_mtime_ns
    assert np.abs(paint() - plain).max() == 0 and result.stat().st_mtime_ns == written  # exists: not touched
    assert stylize(*command, "--strength", "0").returncode == 1  # nor this, but it is no success
    assert result.stat().st_mtime_ns == written
    own = np.asarray(Image.open(photo), dtype=float)
    photograph = paint("--overwrite", "--strength", "0")
    assert 10 * math.log10(255**2 / max(1e-9, np.mean((photograph - own) ** 2))) > 30
    kept = paint(
        "--overwrite", "--preserve-color", "--stroke-size", "2", "--dtype", "fp32", "--device", "cpu"
    )
    assert np.abs(kept - plain).mean() > 1


@pytest.mark.usefixtures("styles")
def test_stdin_to_stdout(stylize: Stylize, tmp_path: Path) -> None:
    photo = draw(tmp_path / "photo.jpg", 80, 64, seed=6)
    done = stylize("image", "-", "--style", "starry.jpg", stdin=photo.read_bytes())
    assert done.returncode == 0, done.stderr
    result = Image.open(BytesIO(done.stdout))
    assert (result.size, result.format) == ((80, 64), "JPEG")
    assert lines(done.stderr)[-1].startswith("1 done in ")

    broken = stylize("image", "-", "--style", "starry.jpg", "-o", "-", stdin=b"")
    assert (broken.returncode, broken.stdout) == (1, b"")
    assert lines(broken.stderr)[0].startswith("failed stdin: ")


@pytest.mark.usefixtures("styles")
def test_dry_run_writes_nothing(stylize: Stylize, photos: Path) -> None:
    before = tree(photos.parent)
    done = stylize(
        "image", "photos", "--style", "starry.jpg", "--style", "wave.png", "-o", "out", "--dry-run"
    )
    assert done.returncode == 0
    assert done.stdout == b""
    assert "would write out/lake.starry.jpg from photos/lake.jpg in starry" in done.stderr.decode()
    assert lines(done.stderr)[-1] == "dry run: 8 to write, 0 exist already; nothing was written"
    assert tree(photos.parent) == before


@pytest.mark.usefixtures("styles")
def test_every_problem_is_one_line(stylize: Stylize, tmp_path: Path) -> None:
    photo = draw(tmp_path / "photo.jpg")
    (tmp_path / "fake.jpg").write_text("no picture")
    (tmp_path / "empty").mkdir()

    style = stylize("image", "photo.jpg", "--style", "fake.jpg")
    assert style.returncode == 2
    assert style.stderr.decode().startswith("stylize: style image fake.jpg: not an image")

    (tmp_path / "bad.safetensors").write_bytes(b"not weights")
    weights = stylize("image", "photo.jpg", "--style", "starry.jpg", "--weights", "bad.safetensors")
    assert weights.returncode == 3

    for done in (style, weights):
        assert len(lines(done.stderr)) == 1, done.stderr
        assert not list(tmp_path.glob("photo.*.jpg"))

    nothing = stylize("image", "empty", "no-such-file.jpg", "--style", "starry.jpg", "-q")
    assert nothing.returncode == 1
    assert [line.split(":")[0] for line in lines(nothing.stderr)] == [
        "failed empty",
        "failed no-such-file.jpg",
    ]

    # A place that cannot be written: the target's folder is a file.
    blocked = stylize("image", "photo.jpg", "--style", "starry.jpg", "-o", "fake.jpg/out/")
    assert blocked.returncode == 1
    assert b"Traceback" not in blocked.stderr
    assert photo.exists()
