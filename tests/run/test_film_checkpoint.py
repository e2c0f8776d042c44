"""What an interrupted film leaves is looked at before it is trusted: damage costs time, never the film."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from film_kit import Film, look

from stylecli.media.video.clip import Excerpt, Frame
from stylecli.media.video.encoding import Encoding
from stylecli.media.video.sink import FilmSink
from stylecli.media.video.source import open_source
from stylecli.run.film import FilmRun
from stylecli.run.film_checkpoint import FilmCheckpoint, Progress
from stylecli.run.motion import Motion
from stylecli.run.temporal import Blender

FRAMES = 380  # one group of pictures (of five groups), two further groups and a half


def run(
    folder: Path,
    before: Progress,
    checkpoint: FilmCheckpoint,
    stop_in: int | None = None,
    beside: int = 1,
) -> FilmRun:
    """Paint nothing, steady, encode and join."""
    source = open_source(folder / "in.mp4", Excerpt())
    coding = Encoding(crf=20, preset="ultrafast").plan(source.clip)
    sink = FilmSink(folder / "out.mp4", coding, checkpoint.folder, folder / "in.mp4")
    stop = threading.Event()

    def paint(frames: Sequence[Frame]) -> np.ndarray:
        if stop_in is not None and frames[0].pts >= stop_in * 512:
            stop.set()  # the group that is painted is completed
        return np.stack([frame.pixels for frame in frames]).astype(np.float32) / 255

    film = FilmRun(source, sink, paint, 0.9, checkpoint, before, stop=stop, beside=beside)
    progress = film.run()
    if film.completed:
        sink.finish(progress.last_duration)
    return film


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, bytes]:
    """A film, a folder with what a run that was stopped after seven groups left of it, and the whole result."""
    folder = tmp_path_factory.mktemp("film")
    Film(frames=FRAMES, size=(64, 48)).write(folder / "in.mp4")
    checkpoint = FilmCheckpoint(folder / "out.mp4")
    checkpoint.begin()
    run(folder, Progress("job"), checkpoint)
    whole = (folder / "out.mp4").read_bytes()
    checkpoint.begin()
    run(folder, Progress("job"), checkpoint, stop_in=300)
    assert checkpoint.read() == Progress("job", 7, 336, 335 * 512, 512)
    return folder / "in.mp4", checkpoint.folder, whole


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


# file -> frames after which the run goes on
DAMAGED = {
    "000000.group": 0,
    "000005.frames": 240,
    "000006.frames": 288,
    "state-000007.npy": 288,
    "journal.json": 0,
}
Damage = Callable[[Path], None]
CASES = [
    *((name, cut, frames) for name, frames in DAMAGED.items()),
    ("000005.frames", flip, 240),
    ("000000.group", Path.unlink, 0),
    ("state-000007.npy", Path.unlink, 288),
]


@pytest.mark.parametrize("name,damage,goes_on_after", CASES)
def test_damage_costs_no_more_than_what_is_damaged(
    name: str, damage: Damage, goes_on_after: int, left: tuple[Path, Path, bytes], tmp_path: Path
) -> None:
    film, parts, whole = left
    shutil.copy(film, tmp_path / "in.mp4")
    checkpoint = FilmCheckpoint(tmp_path / "out.mp4")
    shutil.copytree(parts, checkpoint.folder)
    damage(checkpoint.folder / name)
    read = checkpoint.read()
    assert (read is None) == (name == "journal.json")
    before = Progress("job") if read is None else checkpoint.checked(read, with_state=True)
    assert before.frames == goes_on_after
    if not goes_on_after and damage is not cut:
        return  # it begins again, as with the others
    run(tmp_path, before, checkpoint, beside=3)  # the same on a machine with more cores
    assert (tmp_path / "out.mp4").read_bytes() == whole


def test_an_error_while_steadying_ends_the_run(
    left: tuple[Path, Path, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, _, _ = left
    shutil.copy(film, tmp_path / "in.mp4")
    checkpoint = FilmCheckpoint(tmp_path / "out.mp4")
    checkpoint.begin()
    steadied = 0

    def fail(blender: Blender, painted: np.ndarray, motion: Motion | None) -> np.ndarray:
        nonlocal steadied
        steadied += 1
        if steadied > 60:
            raise ValueError("the sixty-first")
        return painted

    monkeypatch.setattr(Blender, "next", fail)
    raised: list[Exception] = []

    def film_run() -> None:
        try:
            run(tmp_path, Progress("job"), checkpoint)
        except ValueError as error:
            raised.append(error)

    thread = threading.Thread(
        target=film_run, daemon=True
    )  # so that a run without end would not hold up the tests
    thread.start()
    thread.join(timeout=60)
    assert [str(error) for error in raised] == ["the sixty-first"]
    assert steadied == 61 and checkpoint.read() == Progress("job", 1, 48, 47 * 512, 512)


def test_journals_of_any_kind_end_nothing(left: tuple[Path, Path, bytes], tmp_path: Path) -> None:
    _, parts, _ = left
    good = (parts / "journal.json").read_bytes()
    chance = random.Random(3)
    texts = [
        b"",
        b"[]",
        b"7",
        b"null",
        b'{"digest": 1}',
        b"[" * 200_000,
        b"\xff\xfe",
        b'{"job": "job", "frames": "many"}',
    ]
    for _ in range(60):
        data = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.choice(b'0123456789[]{},"x')
        texts.append(bytes(data))
    checkpoint = FilmCheckpoint(tmp_path / "out.mp4")
    checkpoint.folder.mkdir()
    for text in texts:
        (checkpoint.folder / "journal.json").write_bytes(text)
        found = checkpoint.read()
        assert found is None or text == good
        assert checkpoint.is_damaged == (found is None)


def test_a_folder_may_be_moved(left: tuple[Path, Path, bytes], tmp_path: Path) -> None:
    _, parts, _ = left
    checkpoint = FilmCheckpoint(tmp_path / "deep" / "out.mp4")
    shutil.copytree(parts, checkpoint.folder)
    before = checkpoint.read()
    assert before is not None and checkpoint.checked(before, with_state=True) == before
    assert len(look(left[0]).times) == FRAMES
