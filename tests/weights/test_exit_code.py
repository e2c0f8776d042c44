"""A damaged file inside the package, seen from the command line: exit 3 and one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from stylecli.__main__ import _run
from stylecli.weights import manifest, manifest_path


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundled weights in a copy of the package's data; returns the copy's weights file."""
    root = tmp_path / "stylecli"
    bundled = manifest.load_manifest()["stylerwkv-s"].file().bundled
    assert bundled is not None
    target = root.joinpath(*bundled.parts)
    target.parent.mkdir(parents=True)
    shutil.copyfile(manifest.PACKAGE.joinpath(*bundled.parts), target)
    shutil.copyfile(manifest_path(), root / "weights.toml")
    monkeypatch.setattr(manifest, "PACKAGE", root)
    monkeypatch.setenv("STYLIZE_CACHE", str(tmp_path / "cache"))
    Image.new("RGB", (32, 32), (90, 140, 60)).save(tmp_path / "photo.png")
    return target


@pytest.mark.parametrize("harm", ["flip a byte", "cut the end", "remove", "empty"])
def test_harmed_weights(copy: Path, harm: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(copy.read_bytes())
    if harm == "remove":
        copy.unlink()
    else:
        data[len(data) // 2] ^= 1
        copy.write_bytes({"flip a byte": data, "cut the end": data[:-1], "empty": b""}[harm])
    photo = copy.parents[3] / "photo.png"
    code = _run(["image", str(photo), "--style", str(photo), "-o", str(photo.with_name("out.png"))])
    captured = capfd.readouterr()
    assert code == 3
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    assert str(copy) in lines[0] and "reinstall stylecli" in lines[0]
    assert not photo.with_name("out.png").exists()
