"""``stylize weights``, with networks of a manifest of one's own that lie in files here."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from stylecli.__main__ import _run
from stylecli.weights import load_manifest

BUNDLED = "stylerwkv-s"


def weights_file(path: Path, seed: int) -> bytes:
    """Write a true safetensors file of 200 kB."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [200_000], "data_offsets": [0, 200_000]}}).encode()
    data = struct.pack("<Q", len(header)) + header + bytes(i * seed % 251 for i in range(200_000))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return data


@dataclass
class World:
    """Two published networks: "known", with its digest, and "pair", of two files without."""

    folder: Path
    published: Path
    manifest: Path
    cache: Path
    known: bytes

    def cached(self, name: str, file: str = "w.safetensors") -> Path:
        return self.cache / "weights" / name / file


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path, tmp_path / "published", tmp_path / "mine.toml", tmp_path / "cache", b"")
    world.known = weights_file(world.published / "known.safetensors", 3)
    weights_file(world.published / "pair.safetensors", 5)
    (world.published / "config.json").write_text('{"width": 8}')
    head = 'kind = "style-rwkv"\nversion = "1"\nlicence = "MIT"\nsource = "this test"\n'
    world.manifest.write_text(
        f'[known]\n{head}used_by = "nobody"\n'
        f'[[known.files]]\nname = "w.safetensors"\nurls = ["{(world.published / "known.safetensors").as_uri()}"]\n'
        f'size = {len(world.known)}\nsha256 = "{hashlib.sha256(world.known).hexdigest()}"\n'
        f"[pair]\n{head}"
        f'[[pair.files]]\nname = "w.safetensors"\nurls = ["{(world.published / "pair.safetensors").as_uri()}"]\n'
        f'[[pair.files]]\nname = "config.json"\nurls = ["{(world.published / "config.json").as_uri()}"]\n'
    )
    monkeypatch.setenv("STYLIZE_CACHE", str(world.cache))
    monkeypatch.setenv("STYLIZE_WEIGHTS_MANIFEST", str(world.manifest))
    return world


Weights = Callable[..., tuple[int, str, str]]


@pytest.fixture
def weights(world: World, capfd: pytest.CaptureFixture[str]) -> Weights:
    """Run ``stylize weights ARGUMENTS``: exit code, stdout, stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = _run(["weights", *map(str, arguments)])
        out, err = capfd.readouterr()
        return code, out, err

    return run


def states(weights: Weights) -> dict[str, str]:
    code, out, err = weights("list", "--json")
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in out.splitlines()]
    return {row["name"]: row["state"] for row in rows}


def test_list(world: World, weights: Weights) -> None:
    code, out, err = weights("list")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["name", "version", "state", "size", "licence", "used", "by"]
    assert ["known", "1", "missing", "0.2", "MB", "MIT", "nobody"] in lines
    assert ["pair", "1", "missing", "?", "MIT"] in lines
    assert [BUNDLED, load_manifest()[BUNDLED].version, "bundled"] in [line[:3] for line in lines]
    weights("fetch", "known")
    world.cached("pair").parent.mkdir()
    world.cached("pair").write_bytes(b"PK\x03\x04")
    assert states(weights) | {"known": "cached", "pair": "damaged", BUNDLED: "bundled"} == states(weights)


def test_fetch_and_path(world: World, weights: Weights) -> None:
    code, out, err = weights("path", "pair")
    assert (code, out) == (3, "")
    assert "is missing; 'stylize weights fetch pair' fetches it" in err
    code, out, err = weights("fetch", "known", "pair", "known")
    assert (code, out) == (0, "")
    assert f"known: {world.cached('known')}" in err.splitlines()
    assert "w.safetensors: 0.2 MB in" in err and "as expected" in err
    assert err.count("no sha256 is known for it; pinned the one it has now, ") == 2
    code, out, err = weights("path", "pair")
    assert (code, err) == (0, "")
    assert out.splitlines() == [str(world.cached("pair")), str(world.cached("pair", "config.json"))]
    # Nothing left to do: the publisher is not needed any more.
    for path in world.published.iterdir():
        path.unlink()
    assert weights("fetch", "known", "pair", "--quiet") == (0, "", "")


def test_fetch_says_all_that_failed(world: World, weights: Weights) -> None:
    (world.published / "pair.safetensors").write_bytes(world.known[:-1])
    code, out, err = weights("fetch", "pair", "known", "--json")
    assert code == 3
    pair, known = map(json.loads, out.splitlines())
    assert (pair["state"], known["state"]) == ("missing", "cached")
    assert known["files"][0]["sha256"] == hashlib.sha256(world.known).hexdigest()
    assert (
        len([line for line in err.splitlines() if "weights pair: w.safetensors not fetched: " in line]) == 1
    )
    assert not world.cached("pair").exists()


def test_offline(world: World, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STYLIZE_OFFLINE")
    world.manifest.write_text(world.manifest.read_text().replace("file://", "https://localhost"))
    code, out, err = weights("fetch", "known", "--offline")
    assert (code, out) == (3, "")
    assert f"STYLIZE_OFFLINE forbids fetching it; copy https://localhost{world.published}" in err
    assert f"to {world.cached('known')}" in err
    assert _run(["--offline", "weights", "fetch", "known"]) == 3
    assert "STYLIZE_OFFLINE" not in os.environ  # for that command alone
    assert not world.cache.exists()


def test_verify(world: World, weights: Weights) -> None:
    code, out, err = weights("verify")
    assert (code, out) == (0, "")
    assert f"{BUNDLED}: {BUNDLED}.safetensors is bundled and whole (sha256 " in err
    assert "known: w.safetensors is not here" in err
    assert weights("verify", "known")[0] == 3  # asked for by name, it has to be here
    weights("fetch", "known", "pair")
    code, out, err = weights("verify", "known", "pair")
    assert (code, out) == (0, "")
    assert "known: w.safetensors is cached and whole" in err
    assert err.count("is as it was when it was first seen") == 2
    for name in ("known", "pair"):
        data = bytearray(world.cached(name).read_bytes())
        data[-1] ^= 1
        world.cached(name).write_bytes(data)
    code, out, err = weights("verify", "--quiet")
    assert (code, out) == (3, "")
    assert len(err.splitlines()) == 2 and err.count("is damaged (sha256 ") == 2
    weights("fetch", "known", "pair")
    assert weights("verify")[0] == 0


def test_remove(world: World, weights: Weights) -> None:
    weights("fetch", "known", "pair")
    world.cached("pair", "config.json.part").touch()
    world.cached("known", "mine.txt").touch()
    code, out, err = weights("remove", "known", "pair", BUNDLED)
    assert (code, out) == (0, "")
    assert [line.split(":")[1].split()[0] for line in err.splitlines()] == ["1", "3", "0"]
    left = [path.name for path in world.cache.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == ["mine.txt"]
    assert states(weights)[BUNDLED] == "bundled"


def test_export_and_import(world: World, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    stick = world.folder / "stick"
    assert weights("export", stick) == (0, "", "there is nothing in the cache to export\n")
    code, out, err = weights("import", stick)
    assert code == 3 and "nothing in it to import" in err
    weights("fetch", "known", "pair")
    code, out, err = weights("export", stick)
    assert (code, out, len(err.splitlines())) == (0, "", 3)

    monkeypatch.setenv("STYLIZE_CACHE", str(world.folder / "other"))
    world.cache = world.folder / "other"
    code, out, err = weights("import", stick)
    assert (code, out, len(err.splitlines())) == (0, "", 3)
    assert weights("verify", "known", "pair")[0] == 0
    record = world.cached("pair", "w.safetensors.sha256")
    assert record.read_text() == (stick / "pair" / "w.safetensors.sha256").read_text()


@pytest.mark.parametrize("harm", ["flip a byte", "pickle", "truncate", "link", "other than pinned"])
def test_import_looks_first(world: World, weights: Weights, harm: str) -> None:
    stick = world.folder / "stick"
    weights("fetch", "known", "pair")
    weights("export", stick)
    weights("remove", "known", "pair")
    file = stick / "pair" / "w.safetensors"
    if harm == "flip a byte":
        file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    elif harm == "pickle":
        file.write_bytes(b"\x80\x04\x95" + bytes(99))
    elif harm == "truncate":
        os.truncate(file, 1000)
    elif harm == "link":
        file.unlink()
        file.symlink_to(world.published / "pair.safetensors")
    else:
        weights("fetch", "pair")
        weights_file(file, 7)
        (stick / "pair" / "w.safetensors.sha256").unlink()
        world.cached("pair").unlink()
    code, _, err = weights("import", stick)
    assert code == 3
    assert len([line for line in err.splitlines() if str(file) in line]) == 1
    assert not world.cached("pair").exists() and not list(world.cache.rglob("*.part"))
    assert world.cached("known").read_bytes() == world.known  # the rest is done


def test_a_network_by_name_paints(world: World, weights: Weights, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (32, 32), (90, 140, 60)).save(tmp_path / "photo.png")
    photo = str(tmp_path / "photo.png")
    weights("fetch", "known")
    code = _run(["image", photo, "-s", photo, "-o", str(tmp_path / "out.png"), "--weights", "known"])
    assert code == 3  # it is found, and is no StyleRWKV
    code = _run(["image", photo, "-s", photo, "-o", str(tmp_path / "out.png"), "--weights", "nobody"])
    assert code == 3


@pytest.mark.parametrize(
    "arguments", [["fetch", "nobody"], ["path", "nobody"], ["remove", "../x"], ["verify", "nobody"]]
)
def test_unknown_names(weights: Weights, arguments: list[str]) -> None:
    code, out, err = weights(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and "known, pair, " in err


def test_manifest_that_is_not_there(weights: Weights, tmp_path: Path) -> None:
    assert _run(["--weights-manifest", str(tmp_path / "none.toml"), "weights", "list"]) == 2
