"""weights.toml: the real one is sound, and each mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from package_kit import MANIFEST, Package

from stylecli.errors import WeightsError
from stylecli.weights.manifest import PACKAGE, load_manifest, parse_manifest
from stylecli.weights.register import weight

LOOSE = '"loose.safetensors"'
GOOD = MANIFEST.format(size=10, digest="a" * 64)


def test_the_manifest_that_ships() -> None:
    networks = load_manifest()
    assert networks["stylerwkv-s"].kind == "style-rwkv"
    file = networks["stylerwkv-s"].file()
    assert file.bundled is not None and file.size is not None and file.sha256 is not None
    assert weight(PACKAGE.joinpath(*file.bundled.parts)) <= 12_000_000
    for name in ("vgg16", "siglip-base-patch16-224", "sd-vae-ft-mse", "taesd"):
        for other in networks[name].files:
            assert other.bundled is None
            assert all(url.startswith("https://huggingface.co/") for url in other.urls)


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
        ('"net.safetensors"', '"-.safetensors"', r"\[net\] file 1: name must be a plain file name"),
        ('"net.safetensors"', '"a:b.safetensors"', r"\[net\] file 1: name must be a plain file name"),
        (LOOSE, LOOSE + '\nurl = "https://x"', r"\[loose\] file 1: unknown key url"),
        (LOOSE, LOOSE + '\nurls = "https://x"', r"\[loose\] file 1: urls must be a list of addresses"),
        (
            LOOSE,
            LOOSE + '\nurls = ["http://x/a"]',
            r"'http://x/a' is http, which anybody on the way can change",
        ),
        (LOOSE, LOOSE + '\nurls = ["ftp://x/a"]', r"'ftp://x/a' is not an https address"),
        (LOOSE, LOOSE + '\nurls = ["https://me:pw@x/a"]', r"carries a user name or password"),
        (LOOSE, LOOSE + '\nurls = ["https://x/a b"]', r"'https://x/a b' is not an address"),
        (LOOSE, LOOSE + '\nurls = ["https://[x/a"]', r"is not an address"),
        (LOOSE, LOOSE + '\nurls = ["file://server/a"]', r"is not a file of this machine"),
        (LOOSE, LOOSE + '\nurls = ["http://127.0.0.1.example.org/a"]', r"is http, which anybody"),
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


def test_addresses_that_will_do() -> None:
    urls = '["https://x/a?b=c", "http://127.0.0.1:80/a", "http://[::1]/a", "http://localhost/a", "file:///tmp/a"]'
    assert len(parse_manifest(GOOD.replace(LOOSE, f"{LOOSE}\nurls = {urls}"))["loose"].file().urls) == 5


def test_a_manifest_of_ones_own(package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.toml"
    monkeypatch.setenv("STYLIZE_WEIGHTS_MANIFEST", str(mine))
    mine.write_text(GOOD.replace("net", "more").replace('version = "1"', 'version = "2"'))
    networks = load_manifest()
    assert set(networks) == {"net", "loose", "more"}
    assert [networks[name].version for name in ("net", "loose", "more")] == ["1", "2", "2"]
    mine.write_text("[net]")
    with pytest.raises(WeightsError, match=r"mine\.toml: \[net\]: needs at least one file"):
        load_manifest()
    mine.unlink()
    with pytest.raises(WeightsError, match=r"mine\.toml: cannot be read \(No such file"):
        load_manifest()
