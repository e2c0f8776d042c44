"""Inputs, results and styles on an S3 server (moto's, on this machine): as on disk."""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import Stylize, draw
from film_kit import Film
from s3_kit import s3_server

from stylecli.errors import InputError
from stylecli.files import remote
from stylecli.files.atomic import TakenError, WriteError
from stylecli.files.cache import cache_dir
from stylecli.files.remote import RemotePath, as_path


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    with s3_server():
        yield


@pytest.fixture
def s3(server: None):  # type: ignore[no-untyped-def]
    import s3fs

    fs = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    yield fs
    for name in fs.find("archive"):
        fs.rm(name)
    remote.forget()


@pytest.fixture
def put(s3, tmp_path: Path) -> Callable[..., bytes]:  # type: ignore[no-untyped-def]
    def put(key: str, seed: int = 0, side: int = 64) -> bytes:
        data = draw(tmp_path / "drawn" / Path(key).name, side, side, seed).read_bytes()
        s3.pipe_file(f"archive/{key}", data)
        return data

    return put


def test_an_archive_is_mirrored_and_goes_on(
    s3, put: Callable[..., bytes], tmp_path: Path, stylize: Stylize
) -> None:  # type: ignore[no-untyped-def]
    names = ["a.png", "day 1/b.jpg", "day 1/c.png"]
    for seed, name in enumerate(names):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(put(f"photos/{name}", seed))
    s3.pipe_file("archive/photos/broken.png", b"no picture")
    s3.pipe_file("archive/photos/notes.txt", b"no picture")
    (tmp_path / "starry.jpg").write_bytes(put("styles/starry.jpg", 7))
    command = [
        "image",
        "s3://archive/photos",
        "-r",
        "-s",
        "s3://archive/styles/starry.jpg",
        "-o",
        "s3://archive/out/",
    ]
    dry = stylize(*command, "--dry-run").stderr.decode()
    assert (
        "would write s3://archive/out/day 1/b.starry.jpg from s3://archive/photos/day 1/b.jpg in starry"
        in dry
    )
    assert s3.find("archive/out") == []
    done = stylize(*command)
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert "failed s3://archive/photos/broken.png: not an image" in said
    assert "3 done, 1 failed in " in said and said.rstrip().endswith(", in s3://archive/out/")
    here = stylize("image", "photos", "-r", "-s", "starry.jpg", "-o", "out/")
    assert here.returncode == 0
    results = {name.removeprefix("archive/out/"): s3.cat_file(name) for name in s3.find("archive/out")}
    local = {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*.*")}
    assert results == local and len(results) == 3
    s3.rm("archive/photos/broken.png")
    again = stylize(*command)
    assert again.returncode == 0 and b"everything done already: 3 of 3 exist" in again.stderr
    other = stylize(*command, "--strength", "0.5")
    assert other.returncode == 1 and b"was made with other settings (strength 1, now 0.5)" in other.stderr
    assert "hidden" not in said


def test_patterns_folders_and_what_is_missing(s3, put: Callable[..., bytes]) -> None:  # type: ignore[no-untyped-def]
    from stylecli.run.remote_inputs import find_remote

    for name in ("p/img10.png", "p/img2.png", "p/.hidden.png", "p/below/x.png", "p/notes.txt"):
        put(name) if name.endswith("png") else s3.pipe_file(f"archive/{name}", b"text")

    def found(text: str, recursive: bool = False) -> list[str]:
        discovery = find_remote([text], recursive)
        return [str(one.path) for one in discovery.images] + [str(one) for one in discovery.problems]

    assert found("s3://archive/p") == ["s3://archive/p/img2.png", "s3://archive/p/img10.png"]
    assert found("s3://archive/p/", True) == ["s3://archive/p/below/x.png", *found("s3://archive/p")]
    assert found("s3://archive/p/img*.png") == found("s3://archive/p")
    assert found("s3://archive/p/**/x.*") == ["s3://archive/p/below/x.png"]
    assert found("s3://archive/p/notes.txt") == [
        "s3://archive/p/notes.txt"
    ]  # reading tells what is wrong with it
    assert found("s3://archive/p/none.png") == ["s3://archive/p/none.png: does not exist"]
    assert found("s3://archive/p/*.jpg") == ["s3://archive/p/*.jpg: matches no images"]
    assert found("s3://archive/none/") == ["s3://archive/none: does not exist"]


def test_writing(s3, put: Callable[..., bytes]) -> None:  # type: ignore[no-untyped-def]
    target = RemotePath("s3://archive/x/y.png")
    remote.write(target, b"1", replace=False)
    with pytest.raises(TakenError, match="was written by somebody else"):
        remote.write(target, b"2", replace=False)
    assert remote.read(target) == b"1"
    remote.write(target, b"2")
    assert remote.read(target) == b"2" and s3.find("archive/x") == ["archive/x/y.png"]
    with pytest.raises(WriteError, match=r"^s3://none/y\.png: cannot be written: "):
        remote.write(RemotePath("s3://none/y.png"), b"1")
    with pytest.raises(InputError, match="does not exist"):
        remote.read(RemotePath("s3://archive/none.png"))


def test_where_a_name_can_be_seen_half_written_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    target = RemotePath("memory://folder/a.png")
    remote.write(target, b"first")
    seen: list[list[str]] = []

    def torn(path: str, data: bytes) -> None:
        type(memory).pipe_file(memory, path, data[:2])
        seen.append(memory.find("/folder"))
        raise PermissionError("torn")

    monkeypatch.setattr(memory, "pipe_file", torn)
    with pytest.raises(WriteError, match="torn"):
        remote.write(target, b"second")
    assert len(seen[0]) == 2 and memory.find("/folder") == ["/folder/a.png"]
    assert remote.read(target) == b"first"


def test_what_fails_on_the_way_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    path, waits = RemotePath("memory://folder/b.png"), []
    remote.write(path, b"data")
    answers = [ConnectionResetError("gone"), TimeoutError("slow")]

    def shaky(key: str) -> bytes:
        if answers:
            raise answers.pop()
        return b"data"

    monkeypatch.setattr(memory, "cat_file", shaky)
    monkeypatch.setattr("time.sleep", waits.append)
    assert remote.read(path) == b"data" and waits == [0.5, 1.0]
    aiohttp = pytest.importorskip("aiohttp")
    answers += [aiohttp.ServerDisconnectedError()]  # no OSError
    assert remote.read(path) == b"data" and len(waits) == 3
    answers += [aiohttp.ClientResponseError(SimpleNamespace(real_url=""), (), status=403)]  # type: ignore[arg-type]
    with pytest.raises(InputError, match="403"):
        remote.read(path)
    assert len(waits) == 3
    answers += [OSError("no route?X-Amz-Signature=abc")] * 9
    with pytest.raises(InputError, match=r"^memory://folder/b\.png: no route\?…$"):
        remote.read(path)


@pytest.mark.parametrize(
    ("text", "name", "parent"),
    [
        ("s3://bucket/a/b c.png", "b c.png", "s3://bucket/a"),
        ("s3:/bucket/a.png", "a.png", "s3://bucket"),  # what a Path makes of it
        ("https://host/a.jpg", "a.jpg", "https://host"),
    ],
)
def test_remote_paths_are_paths(text: str, name: str, parent: str) -> None:
    path = as_path(Path(text))
    assert isinstance(path, RemotePath) and str(path) == os.fspath(path) == text.replace(":/b", "://b")
    assert (path.name, str(path.parent)) == (name, parent)
    assert str(path.with_name("x.png")) == f"{parent}/x.png" == str(path.parent / "x.png")
    again = pickle.loads(pickle.dumps(path))
    assert again == path and isinstance(again, RemotePath) and str(again) == str(path)
    assert str(path.relative_to(path.parent)) == name
    assert Path("out") / path.relative_to(path.parent) == Path("out") / name


@pytest.mark.parametrize(
    "text", ["a.png", "/tmp/a.png", "C:/a.png", "a:b.png", "file:///tmp/a.png", "-", "./s3:/a"]
)
def test_others_stay_as_they_are(text: str) -> None:
    path = as_path(text)
    assert not isinstance(path, RemotePath) and path == Path(text.removeprefix("file://"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["image", "https://u:secret@host/a.png", "-s", "s.png"], "a password in an address would be seen"),
        (["image", "a.png", "-s", "s.png", "-o", "https://host/x/"], "https:// can be read only"),
        (["image", "a.png", "-s", "s.png", "-o", "nothing://x/"], "nothing:// is nothing that fsspec knows"),
        (
            ["image", "a.png", "-s", "s.png", "-o", "gs://x/"],
            "gs:// needs one more package: pip install gcsfs",
        ),
    ],
)
def test_addresses_that_cannot_be(tmp_path: Path, stylize: Stylize, arguments: list[str], words: str) -> None:
    pytest.importorskip("fsspec")
    draw(tmp_path / "a.png"), draw(tmp_path / "s.png", seed=3)
    done = stylize(*arguments)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.decode().splitlines()
    assert words in line and "secret" not in line


def test_without_fsspec_an_address_says_what_to_install(tmp_path: Path, stylize: Stylize) -> None:
    draw(tmp_path / "s.png")
    (tmp_path / "fsspec.py").write_text("raise ImportError('No module named fsspec')")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = stylize("image", "s3://archive/a.png", "-s", "s.png", "-o", "x/", env={"PYTHONPATH": path})
    assert done.returncode == 2
    assert "s3://archive: addresses need fsspec: pip install 'stylecli[remote]'" in done.stderr.decode()


def test_from_the_web(tmp_path: Path, stylize: Stylize) -> None:
    pytest.importorskip("aiohttp"), pytest.importorskip("fsspec")
    draw(tmp_path / "web" / "a.png"), draw(tmp_path / "web" / "starry.jpg", seed=7)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "web")))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        at = f"http://127.0.0.1:{web.server_port}"
        done = stylize("image", f"{at}/a.png", f"{at}/none.png", "-s", f"{at}/starry.jpg", "-o", "out/")
        assert done.returncode == 1 and f"failed {at}/none.png: does not exist" in done.stderr.decode()
        assert (tmp_path / "out" / "a.starry.png").is_file()
        beside = stylize("image", f"{at}/a.png", "-s", f"{at}/starry.jpg")
        assert beside.returncode == 2 and "say with -o where" in beside.stderr.decode()
    finally:
        web.shutdown()
        web.server_close()


def test_a_film_goes_from_and_to_an_address(s3, tmp_path: Path, styles: list[Path], stylize: Stylize) -> None:  # type: ignore[no-untyped-def]
    clip = Film(frames=12, size=(32, 24), channels="stereo").write(tmp_path / "clip.mp4")
    s3.pipe_file("archive/films/day 1/clip.mp4", clip.read_bytes())
    s3.pipe_file("archive/films/notes.mp4", b"no film")
    how = ["-s", "starry.jpg", "--stroke-size", "8"]
    command = ["video", "s3://archive/films", "-r", "-o", "s3://archive/out/", *how]
    done = stylize(*command)
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert "done s3://archive/out/day 1/clip.starry.mp4 (32x24, 12 frames" in said
    assert "failed s3://archive/films/notes.mp4: not a video" in said
    assert stylize("video", "clip.mp4", "-o", "here.mp4", *how).returncode == 0
    assert s3.cat_file("archive/out/day 1/clip.starry.mp4") == (tmp_path / "here.mp4").read_bytes()
    assert s3.find("archive/out") == ["archive/out/day 1/clip.starry.mp4"]
    assert not list((cache_dir() / "films").glob("*/*"))
    s3.rm("archive/films/notes.mp4")
    again = stylize(*command)
    assert again.returncode == 0 and b"everything done already: 1 of 1 exist" in again.stderr
    other = stylize(*command, "--strength", "0.5")
    assert other.returncode == 1 and b"was made with other settings" in other.stderr
    gif = stylize("video", "clip.mp4", "-o", "s3://archive/out/x.gif", *how)
    assert gif.returncode == 2 and b".gif does not go to an address, .mp4 does" in gif.stderr
