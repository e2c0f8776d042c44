"""With the bundled weights nothing opens a socket, and nothing needs a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from film_kit import Film
from PIL import Image

from stylecli.samples import CONTENTS, STYLES

# Every attempt to make, resolve or connect a socket ends up in a file; Python imports this by itself.
WATCH = """
import os, sys

def watch(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {arguments}\\n")

sys.addaudithook(watch)
"""


def without_network() -> list[str]:
    """The beginning of a command line that takes the network away, where that is allowed."""
    command = [] if shutil.which("unshare") is None else ["unshare", "--map-root-user", "--net"]
    return (
        command if command and subprocess.run([*command, "true"], capture_output=True).returncode == 0 else []
    )


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "sitecustomize.py").write_text(WATCH)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    changes = {"PYTHONPATH": path, "WATCHED": str(folder / "watched"), "STYLIZE_CACHE": str(folder / "cache")}
    changes |= {"STYLIZE_OFFLINE": "", "STYLIZE_KERNELS": "off", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*without_network(), sys.executable, *arguments],
        cwd=folder,
        env=os.environ | changes,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_watch_works(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "import socket; socket.create_connection(('127.0.0.1', 9))")
    assert done.returncode == 1
    assert "socket.connect" in (tmp_path / "watched").read_text()


def test_demo_image_text_and_video(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (64, 48), (90, 140, 60)).save(photo)
    Film(frames=3, size=(32, 32), channels="stereo").write(tmp_path / "clip.mp4")
    playlist = "#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.mp4").write_text(
        playlist
    )  # FFmpeg's sockets are none of Python's: nothing may listen to it
    # All but one of the demo's paintings are there already: one is enough here.
    results = tmp_path / "stylize-demo" / "results"
    results.mkdir(parents=True)
    for name in [f"{content}.{style}.png" for content in CONTENTS for style in STYLES][1:]:
        shutil.copyfile(photo, results / name)
    style = f"stylize-demo/styles/{next(iter(STYLES))}.png"
    demo = ["demo", "--size", "64"]
    image = ["image", "photo.png", "-s", style, "-o", "out.png", "--stroke-size", "8"]  # painted small
    text = ["text", "photo.png", "Paul Gauguin style", "-o", "said.png", "--stroke-size", "8"]
    video = ["video", "clip.mp4", "-s", style, "-o", "painted.mp4", "--stroke-size", "8"]
    refused = ["video", "list.mp4", "-s", style]
    program = (
        "from stylecli.__main__ import _run;"
        f"codes = [_run(c) for c in {[demo, image, text, video, refused]}]; raise SystemExit(codes != [0, 0, 0, 0, 1])"
    )
    done = run(tmp_path, "-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("1 done") == 4
    assert (tmp_path / "painted.mp4").exists()
    assert (tmp_path / "said.png").exists()
    assert (tmp_path / "out.png").exists()
    assert not (tmp_path / "watched").exists(), (tmp_path / "watched").read_text()
    assert not (tmp_path / "cache").exists()
