"""Several processes of one machine: the same files as from one, whatever dies."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Queue

import psutil
import pytest
from conftest import COMMAND, Stylize, draw, environment
from processes_kit import Plain, heed_ctrl_c

from stylecli.errors import StylizeError, UsageError, WeightsError
from stylecli.paint.options import LoadOptions, PaintOptions
from stylecli.run.events import STREAM, Done, Event, Failed
from stylecli.run.plan import Task
from stylecli.run.processes import Processes, _Process, _Processes, each_device
from stylecli.run.worker import Ready, Report


def paint(folder: Path, names: list[str], mood: str = "well", jobs: int = 2) -> list[Event]:
    tasks = [
        Task(draw(folder / name, 8, 8, seed), folder / "out" / name, "x") for seed, name in enumerate(names)
    ]
    job, events = Plain([], [], mood=mood), []
    Processes("cpu", jobs).paint(job, tasks, lambda: None, events.append)  # type: ignore[arg-type,return-value]
    return events


def test_a_picture_that_kills_is_named_and_the_others_are_done(tmp_path: Path) -> None:
    names = [*(f"{number}.png" for number in range(9)), "deadly.png", *(f"{n}.png" for n in range(10, 20))]
    events = paint(tmp_path, names)
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.source.name == "deadly.png" and failed.target == tmp_path / "out" / "deadly.png"
    assert (
        failed.reason
        == "three workers that had it in hand ended (SIGKILL, not enough memory perhaps): left out"
    )
    done = sorted(event.source.name for event in events if isinstance(event, Done))
    assert done == sorted(set(names) - {"deadly.png"})
    assert {path.name for path in (tmp_path / "out").iterdir()} >= set(done)


def test_what_ends_loading_ends_the_run_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {child.pid for child in psutil.Process().children()}  # of other tests
    with pytest.raises(WeightsError, match=r"^weights are missing$"):
        paint(tmp_path, ["a.png", "b.png"], "weights")
    with pytest.raises(
        StylizeError, match=r"^3 workers on cpu ended while they loaded the network \(SIGSEGV\)"
    ):
        paint(tmp_path, ["a.png", "b.png"], "dies")
    with pytest.raises(StylizeError, match=r"^3 workers on cpu ended while they loaded the network"):
        paint(tmp_path, ["a.png", "b.png"], "stopped")
    assert "Traceback" not in capfd.readouterr().err
    left = {child.pid for child in psutil.Process().children()} - before
    assert len(left) <= 1  # multiprocessing's own tracker


@pytest.mark.parametrize(
    ("names", "each"),
    [
        ("cuda:0,cuda:1", ["cuda:0", "cuda:1"]),
        ("cuda:1,cuda:1", ["cuda:1"]),
        ("cpu", ["cpu"]),
        ("cpu:all", ["cpu"]),
        ("cpu,cuda:0", "devices of one kind"),
        ("cuda:all", "finds no CUDA"),
    ],
)
def test_devices(names: str, each: list[str] | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    if isinstance(each, list):
        assert each_device(names) == each
        return
    with pytest.raises(UsageError, match=each):
        each_device(names)


def test_streams_are_not_shared() -> None:
    with pytest.raises(UsageError, match="leave out --jobs"):
        Processes("cpu", 2).paint(Plain([], []), [Task(STREAM, STREAM, "x")], lambda: None, print)  # type: ignore[arg-type,return-value]


def start(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    for number in range(20):
        draw(folder / "photos" / f"{number}.png", 64, 64, seed=number)
    (folder / "photos" / "broken.png").write_bytes(b"no picture")
    command = [*COMMAND, "image", "photos", "-s", "starry.jpg", "-o", "out", "--jobs", "2", *more]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        preexec_fn=heed_ctrl_c,
    )
    until = time.monotonic() + 200
    while len(list((folder / "out").glob("*.png"))) < 3:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.005)
    return process


def workers(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [one for one in psutil.Process(process.pid).children() if "spawn_main" in " ".join(one.cmdline())]


def test_a_killed_worker_changes_nothing(tmp_path: Path, styles: list[Path], stylize: Stylize) -> None:
    process = start(tmp_path)
    both = workers(process)
    assert len(both) == 2
    both[0].kill()
    _, stderr = process.communicate(timeout=300)
    said = stderr.decode()
    assert process.returncode == 1, said
    assert said.count("failed photos/broken.png: not an image") == 1
    assert "a worker on auto ended (SIGKILL" in said
    told = re.search(r"(\d+) done, 1 failed(?:, (\d) skipped)? in ", said.splitlines()[-1])
    # It may have died when a file was complete and before it could say so: that one is there already.
    assert told and int(told[1]) + int(told[2] or 0) == 20, said
    again = stylize("image", "photos", "-s", "starry.jpg", "-o", "out", "--jobs", "2")
    assert again.returncode == 1 and b"20 of 21 exist already" in again.stderr
    alone = stylize("image", "photos", "-s", "starry.jpg", "-o", "alone")
    assert alone.returncode == 1
    results = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.png")}
    assert results == {path.name: path.read_bytes() for path in (tmp_path / "alone").glob("*.png")}
    assert len(results) == 20
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


def test_ctrl_c_lets_every_worker_finish_its_file(tmp_path: Path, styles: list[Path]) -> None:
    process = start(tmp_path)
    both = workers(process)
    for one in (process, *both):  # as a terminal does
        one.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr.decode()
    done = len(list((tmp_path / "out").glob("*.png")))
    assert f"interrupted: {done} done" in stderr.decode().splitlines()[-1]
    assert 3 <= done < 20 and "Traceback" not in stderr.decode()
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in both)


def test_ctrl_c_while_a_worker_is_begun_is_not_heard_there(capfd: pytest.CaptureFixture[str]) -> None:
    crew = _Processes(Plain([], []), 1)
    worker = crew.begin("cpu")
    assert isinstance(worker, _Process)
    os.kill(worker.process.pid or 0, signal.SIGINT)  # it has not even begun to import
    ((_, said),) = [*crew.listen(100)]
    crew.close(at_once=True)
    assert said == [Ready()] and capfd.readouterr().err == ""


def test_a_worker_that_waits_at_a_queue_is_not_interrupted_there() -> None:
    waiting: Queue[None] = Queue()
    thread = threading.Thread(target=waiting.get)
    thread.start()
    ours, _ = multiprocessing.Pipe()
    report = Report(ours, patient=False)
    while (frame := sys._current_frames()[thread.ident]).f_code.co_name != "wait":  # type: ignore[index]
        time.sleep(0.001)
    report.stop(signal.SIGTERM, frame)  # its lock would never be released
    assert report.stopped.is_set()
    waiting.put(None)
    thread.join()
    with pytest.raises(KeyboardInterrupt):
        report.stop(signal.SIGTERM, sys._getframe())


def test_shares_of_memory_and_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: dict[str, object] = {}

    class Process:
        def __init__(self, args: tuple, **more: object) -> None:
            seen["job"], seen["threads"], seen["sharers"] = args[1:4]
            raise KeyboardInterrupt

    monkeypatch.setattr("multiprocessing.context.SpawnContext.Process", Process)
    monkeypatch.setenv("OMP_NUM_THREADS", "9")
    job = Plain(
        [], [], memory_limit=8 << 30, loading=LoadOptions(memory_limit=8 << 30), options=PaintOptions()
    )
    tasks = [Task(Path(f"{number}"), Path(f"{number}.x"), "x") for number in range(40)]
    with pytest.raises(KeyboardInterrupt):
        Processes("cuda:0,cuda:1", 2).paint(job, tasks, lambda: None, print)  # type: ignore[arg-type,return-value]
    shared = seen["job"]
    assert isinstance(shared, Plain)
    assert (shared.memory_limit, shared.loading.memory_limit, shared.loading.device) == (
        2 << 30,
        2 << 30,
        "cuda:0",
    )
    assert (seen["threads"], seen["sharers"]) == (2, 4)
