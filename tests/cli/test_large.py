"""Large, odd and moving pictures through the command line, and memory that does not suffice."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import COMMAND, Stylize, draw, environment
from PIL import Image

needs_ulimit = pytest.mark.skipif(sys.platform != "linux", reason="needs ulimit -v")


@pytest.mark.usefixtures("styles")
def test_sixteen_bits_frames_and_odd_shapes_in_one_run(stylize: Stylize, tmp_path: Path) -> None:
    ramp = np.linspace(9000, 52000, 120 * 90).reshape(90, 120, 1) + np.array([0, 3000, 6000])
    cv2.imwrite(str(tmp_path / "deep.png"), ramp.astype(np.uint16))
    frames = [Image.open(draw(tmp_path / "f" / f"{n}.png", 40, 32, seed=n)) for n in range(3)]
    frames[0].save(
        tmp_path / "moving.gif", save_all=True, append_images=frames[1:], duration=[40, 90, 200], loop=0
    )
    Image.new("RGB", (1, 1), (90, 140, 200)).save(tmp_path / "dot.png")
    draw(tmp_path / "stripe.png", 20_000, 16)

    names = ("deep.png", "moving.gif", "dot.png", "stripe.png")
    done = stylize("image", *names, "--style", "wave.png", "--tile", "64", "-o", "out/")
    assert done.returncode == 0, done.stderr
    made = {p.name for p in (tmp_path / "out").iterdir()}
    assert made == {n.replace(".", ".wave.") for n in names} | {".stylize-results"}  # a GIF carries no mark

    deep = cv2.imread(str(tmp_path / "out" / "deep.wave.png"), cv2.IMREAD_UNCHANGED)
    assert deep.dtype == np.uint16 and deep.shape == (90, 120, 3)
    assert len(np.unique(deep & 255)) > 200  # not 8 bits made longer
    with Image.open(tmp_path / "out" / "moving.wave.gif") as moving:
        times = []
        for number in range(moving.n_frames):  # type: ignore[attr-defined]
            moving.seek(number)
            times.append(moving.info["duration"])
        assert times == [40, 90, 200] and moving.size == (40, 32)
    for name, size in (("dot", (1, 1)), ("stripe", (20_000, 16))):
        with Image.open(tmp_path / "out" / f"{name}.wave.png") as image:
            assert image.size == size


@pytest.mark.usefixtures("styles")
def test_what_cannot_fit_is_refused_from_its_header(stylize: Stylize, tmp_path: Path) -> None:
    Image.new("L", (9000, 7000), 99).save(tmp_path / "large.png", compress_level=1)
    done = stylize("image", "large.png", "--style", "wave.png", "--memory-limit", "600M", "--json")
    assert done.returncode == 4
    said = [line for line in done.stderr.decode().splitlines() if line.startswith("failed")]
    assert len(said) == 1 and "9000 × 7000 pixels need about 841 MB of memory" in said[0]
    assert json.loads(done.stdout.splitlines()[-1])["failed"] == 1
    assert not list(tmp_path.glob("large.wave*"))


@pytest.mark.parametrize(
    ("option", "line"),
    [
        (("--tile", "many"), "--tile many: auto, off, or the height of strips in pixels, 16 or more"),
        (("--tile", "8"), "--tile 8: auto, off, or the height of strips in pixels, 16 or more"),
        (
            ("--memory-limit", "lots"),
            "--memory-limit lots: not an amount of memory; write it like 4G or 800M",
        ),
    ],
)
@pytest.mark.usefixtures("styles")
def test_what_is_mistyped(stylize: Stylize, option: tuple[str, str], line: str) -> None:
    done = stylize("image", "wave.png", "--style", "starry.jpg", *option)
    assert done.returncode == 2 and line in done.stderr.decode()


@needs_ulimit
@pytest.mark.parametrize("megabytes", [800, 1300])
@pytest.mark.usefixtures("styles")
def test_with_little_memory_it_is_done_or_said(tmp_path: Path, megabytes: int) -> None:
    """With --tile nothing is planned: strips of that height are tried, and allocations fail."""
    draw(tmp_path / "photo.jpg", 1600, 1200)
    arguments = ["image", "photo.jpg", "--style", "wave.png", "--stroke-size", "0.5", "--tile", "4096"]
    done = subprocess.run(
        [*COMMAND, *arguments, "-o", "painted.png"],
        capture_output=True,
        cwd=tmp_path,
        env=environment(),
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20)),
    )
    said = done.stderr.decode()
    assert done.returncode in (0, 4) and "Traceback" not in said, said
    left = {path.name for path in tmp_path.iterdir()}
    if done.returncode == 4:
        assert sum("memory" in line for line in said.splitlines()) == 1
        assert left == {"photo.jpg", "starry.jpg", "wave.png"}
    else:
        assert left == {"photo.jpg", "starry.jpg", "wave.png", "painted.png"}
        with Image.open(tmp_path / "painted.png") as image:
            assert image.size == (1600, 1200)


SHRINKING = """
import logging, re, resource, sys
import numpy as np
from pathlib import Path
from stylecli.paint.stylizer import Stylizer

logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
rng = np.random.default_rng(0)
style, photo = rng.random((64, 64, 3), np.float32), rng.random((2600, 500, 3), np.float32)
resource.setrlimit(resource.RLIMIT_AS, (1 << 40, resource.RLIM_INFINITY))  # as under ulimit -v from the start
network = Stylizer.from_pretrained("stylerwkv-s", tile=64).encode_style(style)
expected = network(photo)
size = int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (size + (ROOM << 20),) * 2)
import dataclasses
painted = dataclasses.replace(network, tile=4096)(photo)
print("difference", float(abs(painted - expected).max()))
"""


@needs_ulimit
def test_strips_that_do_not_fit_shrink_and_go_on() -> None:
    """How much room there is for 4096 rows at most, and for few rows at least, hangs on how the heap lies: several are
    tried. Whatever the room, the picture is the right one, or it is said that there is too little."""
    for megabytes in (225, 215, 235, 205, 245):
        code = SHRINKING.replace("ROOM", str(megabytes))
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), timeout=300
        )
        if done.returncode:
            assert done.stderr.splitlines()[-1].startswith("stylecli.errors.OutOfMemoryError: "), done.stderr
            continue
        *before, last = done.stdout.splitlines()
        assert float(last.removeprefix("difference ")) < 1 / 255
        if any(line.startswith("not enough memory for strips of 4096 rows") for line in before):
            return
    pytest.fail("no room was tight and sufficient")
