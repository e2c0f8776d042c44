"""Films on several workers: whole ones, and stretches of one."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import COMMAND, Stylize, environment
from film_kit import CUTS, FRAMES, look, three_scenes
from processes_kit import heed_ctrl_c

from stylecli.files.claim import claimed
from stylecli.media.video.clip import Excerpt
from stylecli.media.video.reading import VideoSource
from stylecli.run.events import Advanced, Done, Event, Failed, FilmDone, Started, Warned
from stylecli.run.film_checkpoint import FilmCheckpoint
from stylecli.run.film_handout import FilmHandout
from stylecli.run.film_parts import Joining, Stretch, scene_cuts, stretches
from stylecli.run.motion import MotionEstimator
from stylecli.run.plan import Task


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return three_scenes(tmp_path_factory.mktemp("film") / "clip.mkv")


TASK = Task(Path("clip.mkv"), Path("out/clip.x.mkv"), "x")


@pytest.mark.parametrize(
    ("cuts", "frames", "gop", "parts"),
    [
        ((96, 246), 310, 48, [(0, 0, 96), (96, 96, 288), (240, 288, 310)]),
        ((), 900, 240, [(0, 0, 900)]),  # one scene: whoever begins in it must paint all of it
        (None, 900, 240, [(0, 0, 240), (240, 240, 480), (480, 480, 720), (720, 720, 900)]),
        ((200,), 480, 240, [(0, 0, 240), (192, 240, 480)]),
        ((100,), 480, 240, [(0, 0, 480)]),  # painting 144 frames twice for 240
        ((100, 460), 720, 240, [(0, 0, 480), (432, 480, 720)]),
        (range(0, 24000, 240), 24000, 240, [(n, n, n + 480) for n in range(0, 24000, 480)]),
        ((), 0, 240, [(0, 0, 0)]),
    ],
)
def test_stretches(
    cuts: tuple[int, ...] | None, frames: int, gop: int, parts: list[tuple[int, int, int]]
) -> None:
    found = stretches(TASK, cuts, range(frames), gop)
    assert [(one.begin, one.first, min(one.end, frames)) for one in found] == [
        (begin, first, min(end, frames)) for begin, first, end in parts
    ]
    assert [one.is_last for one in found] == [False] * (len(found) - 1) + [True]
    assert len({one.target for one in found}) == len(found) <= 64
    assert all(one.target.parent == Path("out/.clip.x.mkv.stylize") for one in found)


def test_scenes_begin_where_the_temporal_step_says(film: Path) -> None:
    cuts, times = scene_cuts(VideoSource(film, Excerpt()).frames())
    assert cuts == list(CUTS[1:]) and times == [40 * number for number in range(FRAMES)]
    estimator, motions = MotionEstimator(), []
    for frame in VideoSource(film, Excerpt(max_frames=120)).frames():
        motions.append(estimator.next(frame.pixels))
    assert [number for number, motion in enumerate(motions) if motion and motion.cut] == [96]


def test_where_decoding_may_begin_anywhere_there_are_as_many_stretches_as_fit() -> None:
    times = range(0, 40 * 240000, 40)
    found = stretches(TASK, range(0, 240000, 240), times, 240, entered=True)
    assert len(found) == 1000 and found[0].known is None and found[7].known == (1679, 1679 * 40)
    assert len(stretches(TASK, range(0, 240000, 240), times, 240)) == 63


def test_stretches_become_one_film_for_who_listens(tmp_path: Path) -> None:
    task = Task(tmp_path / "clip.mkv", tmp_path / "clip.x.mkv", "x")
    parts = stretches(task, CUTS[1:], range(FRAMES), 48)
    told: list[Event] = []
    handout = FilmHandout([(task, parts)], told.append, goes_on=False)
    first, second = handout.take("a"), handout.take("b")
    assert first is not None and second is not None and handout.take("a") is None
    for worker, (part,) in (("a", first), ("b", second)):
        assert isinstance(part, Stretch)
        handout.heard(worker, Started(part.source, part.target, "x"))
        handout.heard(worker, Warned(part.source, "deinterlaced"))
        handout.heard(worker, Advanced(part.source, "x", part.first + 10, FRAMES, 5.0, 100))
    handout.died("b", "SIGKILL")
    assert handout.take("b") == second  # another goes on with it
    for worker, part in (("a", first[0]), ("b", second[0])):
        handout.heard(worker, Done(part.source, part.target, "x", 2.0, 32, 24))
    third = handout.take("b")
    assert third is not None and third[0] == parts[2] and handout.take("a") is None
    handout.heard("b", Done(task.source, third[0].target, "x", 1.0, 32, 24))
    joining = handout.take("a")
    assert joining == (Joining(task.source, task.target, "x", tuple(parts)),) and not handout.over
    handout.heard("a", FilmDone(task.source, task.target, "x", 0.0, 32, 24, FRAMES, 999))
    assert handout.over
    assert told == [
        Started(task.source, task.target, "x"),
        Warned(task.source, "deinterlaced"),
        Advanced(task.source, "x", 10, FRAMES, 5.0, 100),
        Advanced(task.source, "x", 20, FRAMES, 10.0, 200),
        FilmDone(task.source, task.target, "x", 5.0, 32, 24, FRAMES, 999),
    ]


def test_a_stretch_that_fails_fails_its_film_once(tmp_path: Path) -> None:
    films = [Task(tmp_path / name, tmp_path / f"{name}.x.mkv", "x") for name in ("a.mkv", "b.mkv", "c.mkv")]
    parts = [stretches(task, None, range(200), 48) for task in films]
    told: list[Event] = []
    handout = FilmHandout(list(zip(films, parts, strict=True)), told.append, goes_on=False)
    with claimed(films[1].target):
        for number in range(3):
            portion = handout.take(number)
            assert portion == (parts[0][0],)
            handout.died(number, "SIGKILL")
        portion = handout.take("w")
        assert portion == (parts[2][0],)  # nothing of the other two
    failed = [event for event in told if isinstance(event, Failed)]
    assert [(event.source, event.target) for event in failed] == [
        (one.source, one.target) for one in films[:2]
    ]
    assert "three workers that had it in hand ended (SIGKILL)" in failed[0].reason
    assert "another run is writing this" in failed[1].reason
    handout.close()


def test_a_film_that_comes_further_is_not_given_up(tmp_path: Path) -> None:
    task = Task(tmp_path / "a.mkv", tmp_path / "a.x.mkv", "x")
    told: list[Event] = []
    handout = FilmHandout([(task, ())], told.append, goes_on=False)
    for number in range(9):  # machines that are taken away
        assert handout.take(number) == (task,)
        handout.heard(number, Advanced(task.source, "x", 48 * (number + 1), 1000, 1.0, 0))
        handout.died(number, "node lost")
    for number in range(2):  # and twice where the last one was
        assert not any(isinstance(event, Failed) for event in told)
        assert handout.take(number) == (task,)
        handout.died(number, "SIGKILL")
    assert isinstance(told[-1], Failed) and handout.over
    handout.close()


def test_a_film_on_two_processes_is_the_film_of_one(
    film: Path, tmp_path: Path, styles: list[Path], stylize: Stylize
) -> None:
    shutil.copy(film, tmp_path / "clip.mkv")
    command = ["video", "clip.mkv", "-s", "starry.jpg", "--stroke-size", "8", "--codec", "ffv1"]
    alone = stylize(*command, "-o", "alone.mkv")
    assert alone.returncode == 0, alone.stderr

    shared = [*command, "-o", "shared.mkv", "--jobs", "2", "--resume"]
    process = subprocess.Popen(
        [*COMMAND, *shared],
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,
    )
    folder = FilmCheckpoint(tmp_path / "shared.mkv").folder
    until = time.monotonic() + 200
    while not list(folder.glob(".*.stylize/*.group")):
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.01)
    one = next(c for c in psutil.Process(process.pid).children() if "spawn_main" in " ".join(c.cmdline()))
    one.kill()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=100)
    assert process.returncode == 130, stderr.decode()
    assert "--resume goes on" in stderr.decode() and not (tmp_path / "shared.mkv").exists()

    here = stylize(*shared[:-3], "--resume")
    assert here.returncode == 1 and b"--jobs or --cluster goes on with them" in here.stderr
    again = stylize(*shared)
    assert again.returncode == 0, again.stderr
    assert re.search(rb"done shared.mkv \(32x24, 310 frames", again.stderr), again.stderr
    before, one, after = (look(tmp_path / f"{name}.mkv") for name in ("clip", "alone", "shared"))
    assert after.packets == before.packets and after.times == before.times  # its sound, bit for bit
    assert np.array_equal(after.pictures, one.pictures)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
