"""locate(): only ever the right bytes, and one line that helps otherwise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from package_kit import Package, safetensors_bytes

from stylecli.errors import WeightsError
from stylecli.files.cache import cache_dir
from stylecli.weights import locate


def refusal(name: str | Path) -> str:
    with pytest.raises(WeightsError) as caught:
        locate(name)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_bundled_file_is_found(package: Package) -> None:
    assert locate("net") == package.bundled


def test_flipped_byte_is_refused(package: Package) -> None:
    data = bytearray(package.bundled.read_bytes())
    data[-5] ^= 1
    package.bundled.write_bytes(data)
    line = refusal("net")
    assert str(package.bundled) in line
    assert "damaged (sha256" in line and "reinstall" in line and str(package.cached) in line


def test_wrong_size_is_refused(package: Package) -> None:
    size = package.bundled.stat().st_size
    package.bundled.write_bytes(package.bundled.read_bytes()[:-7])
    assert f"({size - 7:,} bytes instead of {size:,})" in refusal("net")


def test_missing_file_is_refused(package: Package) -> None:
    size = package.bundled.stat().st_size
    package.bundled.unlink()
    line = refusal("net")
    assert f"{package.bundled} is missing (expected: {size:,} bytes)" in line
    assert str(package.cached) in line


def test_folder_in_its_place_is_refused(package: Package) -> None:
    package.bundled.unlink()
    package.bundled.mkdir()
    assert "is not a file" in refusal("net")


def test_good_copy_in_the_cache_stands_in(package: Package) -> None:
    package.cached.parent.mkdir(parents=True)
    package.bundled.rename(package.cached)
    assert locate("net") == package.cached
    package.bundled.write_bytes(b"damaged")
    assert locate("net") == package.cached


def test_damaged_copy_in_the_cache_is_refused(package: Package) -> None:
    package.bundled.unlink()
    package.cached.parent.mkdir(parents=True)
    package.cached.write_bytes(b"damaged")
    assert f"{package.cached} is damaged" in refusal("net")


def test_unbundled_network_comes_from_the_cache(package: Package) -> None:
    place = package.cache / "weights" / "loose" / "loose.safetensors"
    assert f"copy the right file to {place}" in refusal("loose")
    place.parent.mkdir(parents=True)
    place.write_bytes(safetensors_bytes(seed=3))
    assert locate("loose") == place
    # No digest is known: the one it had at first is asked of it ever after.
    place.write_bytes(safetensors_bytes(seed=4))
    assert "instead of" in refusal("loose")


def test_unknown_name_lists_the_known_ones(package: Package) -> None:
    assert "known: loose, net" in refusal("nett")


@pytest.mark.usefixtures("package")
def test_unknown_file_of_a_network() -> None:
    with pytest.raises(WeightsError, match=r"net: has no file tokenizer\.json"):
        locate("net", "tokenizer.json")


def test_path_of_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    mine = tmp_path / "mine.safetensors"
    mine.write_bytes(safetensors_bytes())
    assert locate(mine) == mine
    assert locate(str(mine)) == mine


def test_path_without_a_file(tmp_path: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "none.safetensors")


def test_pickle_is_refused(tmp_path: Path) -> None:
    pickle = tmp_path / "model.pth"
    pickle.write_bytes(b"\x80\x04\x95pickle")
    assert "only .safetensors files are read" in refusal(pickle)
    renamed = pickle.rename(tmp_path / "model.safetensors")
    assert "is a pickle, which could run any code" in refusal(renamed)


def test_cache_without_override(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STYLIZE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir().name == "stylecli"


def test_cache_without_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STYLIZE_CACHE", raising=False)
    monkeypatch.setitem(sys.modules, "platformdirs", None)  # makes its import fail
    assert cache_dir() == Path.home() / ".cache" / "stylecli"


def test_cache_override_may_begin_with_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLIZE_CACHE", "~/elsewhere")
    assert cache_dir() == Path.home() / "elsewhere"


def test_heavy_imports_stay_away() -> None:
    heavy = {"torch", "platformdirs", "av", "socket", "ssl", "http"}  # sockets: only to fetch something
    code = f"import sys, stylecli.weights; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
