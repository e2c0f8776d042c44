"""The developer's tool that puts new weights into the package."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from package_kit import Package, safetensors_bytes

from stylecli.errors import UsageError, WeightsError
from stylecli.weights import locate
from stylecli.weights import register as tool
from stylecli.weights.register import main, register


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    path = tmp_path / "ema.safetensors"
    path.write_bytes(safetensors_bytes(seed=7))
    return path


def test_new_weights_are_found_afterwards(package: Package, trained: Path) -> None:
    register("net", trained)
    assert locate("net").read_bytes() == trained.read_bytes()
    assert not list(package.root.rglob("*.part"))


def test_everything_else_in_the_manifest_stays(package: Package, trained: Path) -> None:
    before = package.manifest.read_text().splitlines()
    register("net", trained)
    after = package.manifest.read_text().splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1 and changed[0].startswith('sha256 = "')  # the sizes happen to be equal
    assert f"size = {trained.stat().st_size}  # bytes" in after


def test_first_weights_need_no_folder(package: Package, trained: Path) -> None:
    package.bundled.unlink()
    package.bundled.parent.rmdir()
    register("net", trained)
    assert locate("net") == package.bundled


def test_file_that_is_already_in_place(package: Package) -> None:
    package.bundled.write_bytes(safetensors_bytes(seed=9))
    register("net", package.bundled)
    assert locate("net") == package.bundled


@pytest.mark.parametrize("data", [b"", b"\x80\x04pickle", safetensors_bytes()[:40], b"\xff" * 64])
def test_no_safetensors_file(package: Package, trained: Path, data: bytes) -> None:
    trained.write_bytes(data)
    before = package.manifest.read_text()
    with pytest.raises(WeightsError, match=r"is not a safetensors file|is a pickle"):
        register("net", trained)
    assert package.manifest.read_text() == before


@pytest.mark.usefixtures("package")
def test_what_cannot_be_registered(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="known: loose, net"):
        register("other", trained)
    with pytest.raises(UsageError, match="not a bundled network"):
        register("loose", trained)
    with pytest.raises(WeightsError, match="cannot be read"):
        register("net", trained.with_name("none"))
    monkeypatch.setattr(tool, "LIMIT", 100)
    with pytest.raises(UsageError, match="a bundled file may have 100"):
        register("net", trained)


@pytest.mark.usefixtures("package")
def test_the_command(trained: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert main(["net", str(trained)]) == 0
    assert "assets/weights/net.safetensors" in caplog.text
    assert main(["other", str(trained)]) == 2
