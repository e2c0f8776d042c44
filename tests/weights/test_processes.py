"""Several processes at one cache, and one that is killed: real processes, and what the server saw of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from package_kit import safetensors_bytes
from processes_kit import heed_ctrl_c
from server_kit import Mood, Server, wait_for

DATA = safetensors_bytes(seed=1, count=1_000_000)  # 2 MB
MANIFEST = """
[far]
kind = "style-rwkv"
version = "1"
licence = "MIT"
source = "a server of this test"
[[far.files]]
name = "far.safetensors"
urls = ["{url}"]
"""


def fetch(folder: Path, url: str) -> subprocess.Popen[str]:
    """Start ``stylize weights fetch far`` in a process of its own."""
    manifest = folder / "mine.toml"
    if not manifest.exists():  # once: another process may be reading it
        manifest.write_text(MANIFEST.format(url=url))
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    kept |= {"STYLIZE_CACHE": str(folder / "cache"), "STYLIZE_OFFLINE": ""}
    arguments = ["--weights-manifest", str(manifest), "weights", "fetch", "far"]
    return subprocess.Popen(
        [sys.executable, "-m", "stylecli", *arguments],
        env=kept,
        stderr=subprocess.PIPE,
        text=True,
        # A background job of a shell inherits that Ctrl-C is ignored.
        preexec_fn=heed_ctrl_c,
    )


def test_ten_at_once(server: Server, tmp_path: Path) -> None:
    url = server.publish("/far", DATA, always=Mood(held=True))
    ten = [fetch(tmp_path, url) for _ in range(10)]
    # None gets a byte before all have said something, unless this machine is too busy for that.
    timer = threading.Timer(10, server.gate.set)
    timer.start()
    first = []
    for process in ten:
        assert process.stderr is not None
        first.append(process.stderr.readline().strip())
    timer.cancel()
    server.gate.set()
    for process in ten:
        _, said = process.communicate(timeout=200)
        assert process.returncode == 0, said
    assert server.asked("/far") == [None]
    assert len([line for line in first if line.startswith("downloading far.safetensors, from ")]) == 1
    place = tmp_path / "cache" / "weights" / "far" / "far.safetensors"
    assert place.read_bytes() == DATA
    assert {path.name for path in place.parent.iterdir()} == {"far.safetensors", "far.safetensors.sha256"}


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_killed_and_again(server: Server, tmp_path: Path) -> None:
    url = server.publish("/far", DATA, Mood(hang_after=1_500_000))
    part = tmp_path / "cache" / "weights" / "far" / "far.safetensors.part"
    killed = fetch(tmp_path, url)
    wait_for(lambda: part.exists() and part.stat().st_size == 1_500_000)
    killed.kill()
    killed.communicate(timeout=30)
    assert killed.returncode == -signal.SIGKILL
    assert not part.with_suffix("").exists()
    again = fetch(tmp_path, url)
    _, said = again.communicate(timeout=200)
    assert again.returncode == 0, said
    assert server.asked("/far") == [None, "bytes=1500000-"]
    assert part.with_suffix("").read_bytes() == DATA


def test_ctrl_c_keeps_what_has_arrived(server: Server, tmp_path: Path) -> None:
    url = server.publish("/far", DATA, Mood(hang_after=1_000_000))
    part = tmp_path / "cache" / "weights" / "far" / "far.safetensors.part"
    process = fetch(tmp_path, url)
    wait_for(lambda: part.exists() and part.stat().st_size == 1_000_000)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "interrupted: the same command goes on from here"
    assert part.stat().st_size == 1_000_000
