"""weights.toml: the real one is sound, and each mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from package_kit import MANIFEST, Package

from stylecli.errors import WeightsError
from stylecli.weights.manifest import load_manifest, parse_manifest

GOOD = MANIFEST.format(size=10, digest="a" * 64)


def test_the_manifest_that_ships() -> None:
    networks = load_manifest()
    assert networks["stylerwkv-s"].kind == "style-rwkv"
    file = networks["stylerwkv-s"].file()
    assert file.bundled is not None and file.size is not None and file.sha256 is not None
    assert file.size <= 12_000_000
    assert networks["vgg16"].file().bundled is None


def test_good_manifest_is_read() -> None:
    networks = parse_manifest(GOOD)
    assert list(networks) == ["net", "loose"]
    assert networks["net"].file().size == 10


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[net]", "[net", "not valid TOML"),
        ("[net]", "[nett]", r"\[nett\]: needs at least one file"),
        ("[loose]", "[Loose]", r"\[Loose\]: a name is made of"),
        ('kind = "style-rwkv"', "", r"\[net\]: kind must be given as text, not None"),
        ('version = "1"', "version = 1", r"\[net\]: version must be given as text, not 1"),
        ("licence =", "license =", r"\[net\]: unknown key license \(known: files, kind, licence"),
        ("size = 10", "size = 0", r"\[net\] file 1: size must be a positive"),
        ("size = 10", "size = true", r"\[net\] file 1: size must be a positive"),
        ("size = 10", "", r"\[net\] file 1: a bundled file needs size and sha256"),
        ("aaaa", "AAAA", r"\[net\] file 1: sha256 must be 64 lower-case"),
        ('sha256 = "a', 'sha256 = "', r"\[net\] file 1: sha256 must be 64 lower-case"),
        ('"net.safetensors"', '"../net.safetensors"', r"\[net\] file 1: name must be a plain file name"),
        ('"net.safetensors"', '"net.pth"', r"\[net\] file 1: name must be a plain file name"),
        ('"assets/', '"/assets/', r"\[net\] file 1: bundled must be a path inside"),
        ('"assets/', '"../assets/', r"\[net\] file 1: bundled must be a path inside"),
        (
            '"loose.safetensors"',
            '"loose.safetensors"\nurl = "https://x"',
            r"\[loose\] file 1: unknown key url",
        ),
    ],
)
def test_mistakes_are_named(old: str, new: str, complaint: str) -> None:
    assert old in GOOD
    with pytest.raises(WeightsError, match=r"^weights\.toml: ") as caught:
        parse_manifest(GOOD.replace(old, new, 1))
    assert caught.match(complaint)


def test_one_file_named_twice() -> None:
    twice = GOOD + '\n[[loose.files]]\nname = "loose.safetensors"\n'
    with pytest.raises(WeightsError, match="names one file twice"):
        parse_manifest(twice)


def test_a_key_at_the_top_level() -> None:
    with pytest.raises(WeightsError, match=r"\[stray\]: must be a table"):
        parse_manifest("stray = 1\n" + GOOD)


def test_missing_manifest(package: Package) -> None:
    package.manifest.unlink()
    with pytest.raises(WeightsError, match=r"weights\.toml is missing .* reinstall stylecli"):
        load_manifest()


def test_checkout_keeps_it_at_the_top(package: Package) -> None:
    top = package.root.parent
    package.manifest.rename(top / "weights.toml")
    (top / "pyproject.toml").touch()
    assert "net" in load_manifest()


def test_manifest_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "weights.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_manifest(path)
