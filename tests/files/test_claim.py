"""Runs that meet on one file: real processes, in other namespaces where that is allowed, and other hosts simulated."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stylecli.files import owner
from stylecli.files.atomic import atomic_path, is_temporary, remove_stale_temporaries
from stylecli.files.claim import ClaimedError, claimed, is_claimed

ELSEWHERE = ["unshare", "--pid", "--fork", "--kill-child"]
HOLD = """
import sys, time
from pathlib import Path
from stylecli.files.{module} import {call}
with {call}(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def may_unshare() -> bool:
    return (
        shutil.which("unshare") is not None
        and not subprocess.run([*ELSEWHERE, "true"], capture_output=True).returncode
    )


@contextmanager
def holding(module: str, call: str, target: Path, *before: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is in the middle of writing ``target``."""
    code = HOLD.format(module=module, call=call)
    with subprocess.Popen(
        [*before, sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


def temporaries(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if is_temporary(path)]


def made_old(folder: Path, seconds: float) -> None:
    for path in folder.iterdir():
        os.utime(path, (time.time() - seconds,) * 2)


PLACES = [(), pytest.param(ELSEWHERE, marks=pytest.mark.skipif(not may_unshare(), reason="may not unshare"))]


@pytest.mark.parametrize("before", PLACES, ids=["beside", "in another namespace"])
def test_a_living_writer_keeps_its_temporary_and_a_killed_one_does_not(
    tmp_path: Path, before: list[str]
) -> None:
    with holding("atomic", "atomic_path", tmp_path / "a.png", *before) as process:
        made_old(tmp_path, 3600)
        assert remove_stale_temporaries(tmp_path) == 0 and len(temporaries(tmp_path)) == 1
        process.send_signal(signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 5
        while not remove_stale_temporaries(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.05)  # unshare's child dies after it
    assert temporaries(tmp_path) == []


def test_temporaries_of_other_hosts_stay_for_a_day(tmp_path: Path) -> None:
    name = f".stylize-00000000-{owner.namespace()}-{os.getpid()}-0123abcd.part"
    (tmp_path / name).write_bytes(b"half")
    assert is_temporary(tmp_path / name)
    made_old(tmp_path, 3600)
    assert remove_stale_temporaries(tmp_path) == 0
    made_old(tmp_path, 25 * 3600)
    assert remove_stale_temporaries(tmp_path) == 1


@pytest.mark.parametrize("before", PLACES, ids=["beside", "in another namespace"])
def test_two_runs_and_one_target(tmp_path: Path, before: list[str]) -> None:
    target = tmp_path / "clip.mp4"
    assert not is_claimed(target)
    with holding("claim", "claimed", target, *before) as process:
        assert is_claimed(target)
        (tmp_path / "link.mp4").symlink_to(target)
        for name in (target, tmp_path / "link.mp4"):
            with (
                pytest.raises(ClaimedError, match=r"another run is writing this \(process \d+ on "),
                claimed(name),
            ):
                pass
        with claimed(tmp_path / "other.mp4"):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 5
        while is_claimed(target) and time.monotonic() < deadline:
            time.sleep(0.05)
    with claimed(target):
        assert is_claimed(target)
        with pytest.raises(ClaimedError), claimed(target):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["link.mp4"]


@pytest.mark.parametrize(("age", "taken"), [(0, True), (90, True), (1000, False)])
def test_a_claim_of_another_host_counts_while_it_is_touched(tmp_path: Path, age: float, taken: bool) -> None:
    """Its lock is not seen here, as on a network drive without locks."""
    claim = tmp_path / ".clip.mp4.stylize-lock"
    who = {"machine": "00000000", "namespace": owner.namespace(), "process": os.getpid(), "host": "north"}
    claim.write_text(json.dumps(who))
    made_old(tmp_path, age)
    assert is_claimed(tmp_path / "clip.mp4") is taken
    if taken:
        with (
            pytest.raises(ClaimedError, match=r"on north; if it has ended, remove .*stylize-lock"),
            claimed(tmp_path / "clip.mp4"),
        ):
            pass
    else:
        with claimed(tmp_path / "clip.mp4"):
            pass
        assert not claim.exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"machine": 3}', "\0" * 9000])
def test_a_damaged_claim_does_not_block(tmp_path: Path, text: str) -> None:
    claim = tmp_path / ".clip.mp4.stylize-lock"
    claim.write_text(text)
    made_old(tmp_path, 1000)
    with claimed(tmp_path / "clip.mp4"):
        pass
    assert not claim.exists()


def test_a_claim_takes_long_names_and_new_folders(tmp_path: Path) -> None:
    with claimed(tmp_path / "new" / ("ü" * 120 + ".mp4")):
        assert len(list((tmp_path / "new").iterdir())) == 1
    assert list((tmp_path / "new").iterdir()) == []


def test_replacing_is_refused_at_the_last_moment(tmp_path: Path) -> None:
    from stylecli.files.atomic import TakenError

    target = tmp_path / "a.png"
    with (
        pytest.raises(TakenError, match="written by somebody else"),
        atomic_path(target, replace=False) as temporary,
    ):
        temporary.write_bytes(b"ours")
        target.write_bytes(b"theirs")
    assert target.read_bytes() == b"theirs" and len(list(tmp_path.iterdir())) == 1
