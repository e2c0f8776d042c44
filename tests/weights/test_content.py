"""What a file of weights may hold: true safetensors pass, everything that only pretends is named."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from pathlib import Path

import pytest
from package_kit import headed, safetensors_bytes
from safetensors.numpy import save

from stylecli.weights import manifest
from stylecli.weights.content import problem_inside

W = {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}


def zipped(size: int = 1000) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", bytes(size))
    return file.getvalue()


def look_at(folder: Path, data: bytes, name: str = "w.safetensors") -> str | None:
    path = folder / name
    path.write_bytes(data)
    return problem_inside(path)


def test_true_files_pass(tmp_path: Path) -> None:
    import numpy as np

    assert look_at(tmp_path, safetensors_bytes()) is None
    tensors = {
        "a": np.zeros((2, 3), np.float32),
        "empty": np.zeros((0, 7), np.int64),
        "one": np.ones((), np.uint8),
    }
    assert look_at(tmp_path, save(tensors, {"config": "{}"})) is None
    assert look_at(tmp_path, headed({"new": W | {"dtype": "F4_OF_NEXT_YEAR"}}) + bytes(8)) is None
    assert look_at(tmp_path, b'{"a": [1]}', "config.json") is None
    assert look_at(tmp_path, b"\n\x0e\n\x05<unk>", "spiece.model") is None
    bundled = manifest.load_manifest()["stylerwkv-s"].file().bundled
    assert bundled is not None
    assert problem_inside(manifest.PACKAGE.joinpath(*bundled.parts)) is None


@pytest.mark.parametrize("name", ["w.safetensors", "w.json", "w.model"])
@pytest.mark.parametrize(
    ("data", "words"),
    [
        *[(pickle.dumps({"w": 1}, protocol), "is a pickle") for protocol in (2, 3, 4, 5)],
        (zipped(50_000_000), "is a zip archive"),  # 50 MB in 50 kB: nobody unpacks it
        (gzip.compress(bytes(99)), "is a gzip archive"),
        (b"<!doctype html>", "is a web page"),
        (pickle.dumps({"w": 1}, 0), "is not a"),
        (pickle.dumps({"w": 1}, 1), "is not a"),
        (b"", "is not a"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_foreign_files(tmp_path: Path, data: bytes, words: str, name: str) -> None:
    assert words in str(look_at(tmp_path, data, name))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((1 << 60).to_bytes(8, "little") + bytes(100), "claims more bytes than the file has"),
        (((16 << 20) + 1).to_bytes(8, "little") + bytes(17 << 20), "a header of 16,777,217 bytes"),
        (safetensors_bytes()[:-1], "its header describes"),
        (safetensors_bytes() + b"\0", "its header describes"),
        (safetensors_bytes()[:40], "claims more bytes than the file has"),
        (headed([]), "the header is not a table"),
        ((12).to_bytes(8, "little") + b"[" * 12, "is not a safetensors file ("),
        ((100_000).to_bytes(8, "little") + b"[" * 100_000, "nested too deeply"),
        ((2).to_bytes(8, "little") + b"\xff\xff", "not text"),
        (headed({"w": 1}), "tensor 'w' is not described"),
        (headed({"w": W | {"shape": [5]}}) + bytes(8), "which its shape contradicts"),
        (headed({"w": W | {"shape": [-4]}}) + bytes(8), "impossible shape or place"),
        (headed({"w": W | {"shape": [True] * 4}}) + bytes(8), "impossible shape or place"),
        (headed({"w": W | {"shape": [1 << 40, 1 << 40]}}) + bytes(8), "impossibly large"),
        (headed({"w": W | {"data_offsets": [8, 0]}}) + bytes(8), "which its shape contradicts"),
        (headed({"w": W, "v": W}) + bytes(8), "leave a gap or overlap"),
        (headed({"w": W | {"data_offsets": [8, 16]}}) + bytes(16), "leave a gap or overlap"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_safetensors_that_lie(tmp_path: Path, data: bytes, words: str) -> None:
    line = str(look_at(tmp_path, data))
    assert line.startswith("is not a safetensors file (") and words in line and "\n" not in line


@pytest.mark.parametrize("data", [b"{", b"3", b"[" * 100_000, b"\xff\xfe{}", b'{"a": NotANumber}'])
def test_json_that_is_none(tmp_path: Path, data: bytes) -> None:
    assert str(look_at(tmp_path, data, "config.json")).startswith("is not a JSON file (")
