"""The console: JSON on stdout, people's lines on stderr, one line for each thing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylecli.console import Console, one_line
from stylecli.media.picture import Frame, Picture
from stylecli.run.events import Advanced, Done, Failed, FilmDone, NotBegun, Notice, Skipped, Started
from stylecli.run.plan import Task
from stylecli.run.stream import Work, portions, stream

A, TARGET = Path("a.jpg"), Path("a.starry.jpg")
DONE = Done(A, TARGET, "starry", 0.123456, 64, 48)
SKIPPED = Skipped(A, TARGET, "starry", "exists")
FAILED = Failed(A, "not an image", TARGET, "starry")


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Console(json_lines=True) as console:
        for event in (DONE, SKIPPED, FAILED, Failed(Path("b"), "no such file"), Notice(A, "first page")):
            console.show(event)
        console.summary()
    out = objects(capsys.readouterr().out)
    pair = {"source": "a.jpg", "target": "a.starry.jpg", "style": "starry"}
    assert out[:-1] == [
        {"event": "done", **pair, "seconds": 0.1235, "width": 64, "height": 48},
        {"event": "skipped", **pair, "reason": "exists"},
        {"event": "failed", **pair, "reason": "not an image"},
        {"event": "failed", "source": "b", "target": None, "style": None, "reason": "no such file"},
        {"event": "notice", "source": "a.jpg", "text": "first page"},
    ]
    seconds = out[-1].pop("seconds")
    assert isinstance(seconds, float)
    assert out[-1] == {"event": "summary", "done": 1, "failed": 2, "skipped": 1}


def test_without_json_stdout_stays_empty(capsys: pytest.CaptureFixture[str]) -> None:
    with Console(verbose=True) as console:
        for event in (DONE, SKIPPED, FAILED):
            console.show(event)
        console.summary()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[:3] == [
        "done a.starry.jpg (64x48, 0.12 s)",
        "skipped a.jpg in starry: exists",
        "failed a.jpg: not an image",
    ]
    assert err.splitlines()[3].startswith("1 done, 1 failed, 1 skipped in ")


def test_quiet_leaves_errors_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with Console(quiet=True) as console:
        for event in (DONE, SKIPPED, FAILED):
            console.show(event)
        console.summary()
    assert capsys.readouterr().err == "failed a.jpg: not an image\n"


def test_an_unreadable_input_is_named_once_for_all_styles(capsys: pytest.CaptureFixture[str]) -> None:
    with Console() as console:
        for style in "xyz":
            console.show(Failed(A, "not an image", Path(f"a.{style}.jpg"), style))
    assert capsys.readouterr().err == "failed a.jpg: not an image\n"
    assert console.tally.failed == 3


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("plain ä 星.jpg", "plain ä 星.jpg"),
        ("two\nlines\x1b[31m", "two\\nlines\\x1b[31m"),
        (os.fsdecode(b"latin\xe4.jpg"), "latin\\udce4.jpg"),
    ],
)
def test_names_stay_on_one_line(name: str, line: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert one_line(name) == line
    with Console(json_lines=True) as console:
        console.show(Failed(Path(name), "broken"))
    out, err = capfd.readouterr()
    assert err == f"failed {line}: broken\n"
    assert objects(out)[0]["source"] == name


def test_a_trace_is_shown_with_verbose_alone(capsys: pytest.CaptureFixture[str]) -> None:
    failed = Failed(A, "unexpected", TARGET, "starry", trace="Traceback\n  here")
    Console().show(failed)
    assert "Traceback" not in capsys.readouterr().err
    Console(verbose=True).show(failed)
    assert "Traceback\n  here" in capsys.readouterr().err


def test_the_bar_shows_failures_above_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with Console() as console:
        console.start_bar(2)
        console.show(DONE)
        console.show(Failed(Path("[bold]x.jpg"), "broken " + "word " * 60))
        console.stop_bar()
    out, err = capsys.readouterr()
    assert out == ""
    assert "failed [bold]x.jpg: broken word" in err
    assert "done a.starry.jpg" not in err  # the bar counts them


def test_failures_are_named_once_more_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Console() as console:
        console.show(FAILED)
        for number in range(30):
            console.show(Done(A, Path(f"out/{number}.jpg"), "starry", 0.1, 64, 48))
        for number in range(25):
            console.show(Failed(Path(f"{number}.jpg"), "damaged"))
        console.show(NotBegun(Path("last.jpg"), "not begun: the disk is full"))
        console.summary()
    said = capsys.readouterr().err.splitlines()
    assert said[-22:-20] == ["failed a.jpg: not an image", "failed 0.jpg: damaged"]
    assert said[-2] == "and 6 more"
    assert said[-1].startswith("30 done, 26 failed, 1 not begun in ") and said[-1].endswith("s, in out/")


def test_a_failure_named_once_more_is_one_whatever_its_file_is_called(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Console() as console:
        console.show(Failed(Path("and so on.jpg"), "damaged"))
        for number in range(30):
            console.show(Done(A, Path(f"out/{number}.jpg"), "starry", 0.1, 64, 48))
        console.summary()
    assert capsys.readouterr().err.splitlines()[-2] == "failed and so on.jpg: damaged"


def test_the_one_result_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with Console() as console:
        console.show(DONE)
        console.summary()
    assert capsys.readouterr().err.splitlines()[-1].endswith("s: a.starry.jpg")


def test_json_tells_how_far_a_film_is(capsys: pytest.CaptureFixture[str]) -> None:
    with Console(json_lines=True) as console:
        console.show(Started(A, TARGET, "starry"))
        for frames in range(5):
            console.show(Advanced(A, "starry", frames, 99, 12.34567, 1000))
    assert objects(capsys.readouterr().out) == [
        {"event": "started", "source": "a.jpg", "target": "a.starry.jpg", "style": "starry"},
        {"event": "progress", "source": "a.jpg", "style": "starry", "frames": 0, "total": 99, "rate": 12.346},
    ]


def test_of_several_films_it_says_which_one_and_of_an_animation_which_frame(capsys, monkeypatch) -> None:
    monkeypatch.setattr("stylecli.console.console.ADVANCE_LINE_S", -1.0)
    with Console() as console:
        console.start_bar(2, films=True)
        for name in ("a.mp4", "b.mp4"):
            console.show(Started(Path(name), Path("x.mp4"), "s"))
        for name in ("a.mp4", "b.mp4"):  # painted at the same time
            console.show(Advanced(Path(name), "s", 5, 10, 2.0, 1000))
            console.show(Advanced(Path(name), "s", 6, 10, 2.0, 1000))
    said = capsys.readouterr().err
    assert "a.mp4: film 1 of 2: 6 of 10 frames" in said and "b.mp4: film 2 of 2: 6 of 10 frames" in said


class Bar:
    """What a bar of rich is told."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}

    def update(self, task: int, **told: object) -> None:
        self.told |= told

    def stop(self) -> None:
        pass


def test_films_that_are_painted_at_the_same_time_are_one_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with Console(json_lines=True) as console:
        console.start_bar(2, films=True)
        console._bar = Bar()  # type: ignore[assignment]
        console._task = 0  # type: ignore[assignment]
        for frames in (5, 6):
            console.show(Advanced(A, "x", frames, 10, 2.0, 1000))
            console.show(Advanced(A, "y", frames + 20, 30, 3.0, 2000))
        assert console._bar.told["completed"] == 32 and console._bar.told["total"] == 40  # type: ignore[union-attr]
        assert console._bar.told["rate"].startswith("5.0 frames/s")  # type: ignore[union-attr]
        console.show(FilmDone(A, Path("a.x.mp4"), "x", 1.0, 64, 48, 10, 1000))
        console.show(Advanced(A, "y", 27, 30, 3.0, 2000))
        assert console._bar.told["completed"] == 27  # type: ignore[union-attr]
    told = [one for one in objects(capsys.readouterr().out) if one["event"] == "progress"]
    assert [one["style"] for one in told] == ["x", "y"]  # each of them, once a second


def test_frames_of_an_animation_are_told(tmp_path: Path) -> None:
    shown: list[object] = []
    frame = np.zeros((4, 4, 3), np.uint8)
    moving = Picture(frame, more=(Frame(frame, None, 10.0),) * 2)
    work = Work(lambda path: moving, lambda: {"s": lambda pixels: pixels}, lambda picture, task: ())
    stream(portions([Task(Path("a.gif"), tmp_path / "b.gif", "s")]), work, shown.append)
    assert [(one.frames, one.total) for one in shown if isinstance(one, Advanced)] == [(1, 3), (2, 3), (3, 3)]
