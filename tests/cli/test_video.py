"""``stylize video`` end to end: real films, the real network, processes that are really killed."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import COMMAND, Stylize, draw, environment
from film_kit import Film, look
from PIL import Image
from processes_kit import heed_ctrl_c

from stylecli.files.claim import claimed
from stylecli.media.video.clip import Part
from stylecli.run.film_checkpoint import FilmCheckpoint, Progress

SMALL = ("--stroke-size", "8")  # painted at the least size: the network is not what is tested here


@dataclass
class Ended:
    """A command that ran in this process: loading the network once for all is what keeps these tests short."""

    returncode: int
    out: list[str]
    err: str


Here = Callable[..., Ended]


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    """Run ``stylize video ARGUMENTS`` in the test's folder, in this process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        from stylecli.__main__ import _run

        code = _run(["video", *arguments])
        said = capsys.readouterr()
        return Ended(code, said.out.splitlines(), said.err)

    return run


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.name.startswith(".")]


@pytest.mark.usefixtures("styles")
def test_a_film_with_everything(here: Here, tmp_path: Path) -> None:
    before = look(Film(frames=14, channels="5.1", chapters=True).write(tmp_path / "clip.mp4"))
    done = here("clip.mp4", "-s", "starry.jpg", "--json", *SMALL)
    assert done.returncode == 0, done.err
    events = [json.loads(line) for line in done.out]
    assert (
        events[-2].items()
        >= {"event": "done", "target": "clip.starry.mp4", "frames": 14, "width": 64}.items()
    )
    assert events[-1].items() >= {"event": "summary", "done": 1, "failed": 0}.items()
    assert events[-2]["bytes"] == (tmp_path / "clip.starry.mp4").stat().st_size  # sound and all
    after = look(tmp_path / "clip.starry.mp4")
    assert after.times == before.times
    assert after.packets == before.packets
    assert (after.size, after.chapters) == (before.size, ["One"])
    difference = np.abs(np.stack(after.pictures).astype(float) - np.stack(before.pictures)).mean()
    assert difference > 5  # it was painted
    assert left_over(tmp_path) == []

    again = here("clip.mp4", "-s", "starry.jpg", *SMALL)
    assert "everything done already" in again.err

    # Without paint everything comes back; and a result is not painted when the folder is.
    plain = here(".", "-s", "wave.png", "--strength", "0", "--temporal", "off")
    assert plain.returncode == 0, plain.err
    assert "left out as results of an earlier run: clip.starry.mp4" in plain.err
    same = look(tmp_path / "clip.wave.mp4")
    assert np.abs(np.stack(same.pictures).astype(float) - np.stack(before.pictures)).mean() < 2.5


@pytest.mark.usefixtures("styles")
def test_bad_films_get_a_line_each_and_good_parts_are_kept(here: Here, tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    Film(frames=40, group=8, channels="stereo", seconds_of_sound=2).write(films / "good.mp4", faststart=True)
    data = (films / "good.mp4").read_bytes()
    (films / "good.mp4").rename(films / "misnamed.avi")
    (films / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])
    broken = bytearray(data)
    middle = (data.index(b"mdat") + len(data)) // 2
    broken[middle : middle + 1500] = random.Random(1).randbytes(1500)
    (films / "corrupt.mp4").write_bytes(broken)
    Film(frames=30).write(films / "headless.mp4")
    (films / "headless.mp4").write_bytes((films / "headless.mp4").read_bytes()[:2000])
    (films / "text.mp4").write_text("not a film\n" * 99)
    (films / "empty.mkv").write_bytes(b"")
    (films / "list.mp4").write_text("#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    draw(films / "still.png").rename(films / "picture.mov")
    Film(colour=(1, 9, 9, 16), pix_fmt="yuv420p10le", frames=2).write(films / "hdr.mkv")

    done = here("films", "-s", "starry.jpg", "-o", "out", "--hdr", "refuse", *SMALL)
    assert done.returncode == 1
    said = done.err
    assert "Traceback" not in said
    failed = {
        line.split(":")[0].removeprefix("failed films/")
        for line in done.err.splitlines()
        if "failed films/" in line
    }
    assert failed == {"headless.mp4", "text.mp4", "empty.mkv", "list.mp4", "picture.mov", "hdr.mkv"}
    assert "warning films/cut.mp4: cut off" in said
    assert "warning films/corrupt.mp4: damaged" in said
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == ["corrupt.starry.mp4", "cut.starry.mp4", "misnamed.avi.starry.mkv"]
    assert 15 < len(look(tmp_path / "out" / "cut.starry.mp4").times) < 40
    kept = look(tmp_path / "out" / "corrupt.starry.mp4").times
    assert 25 < len(kept) < 40
    assert kept[-1] == Fraction(39, 25)  # what comes after the damage is where it belongs


def resting(process: subprocess.Popen[bytes], checkpoint: Path, frames: int) -> None:
    """Wait until so many frames are safe."""
    until = time.monotonic() + 100
    while time.monotonic() < until:
        assert process.poll() is None, "ended before it could be struck"
        if checkpoint.exists() and json.loads(checkpoint.read_text())["frames"] >= frames:
            return
        time.sleep(0.005)
    raise AssertionError("too slow")


@pytest.mark.usefixtures("styles")
def test_kill_9_ctrl_c_and_resume_give_the_same_film(stylize: Stylize, here: Here, tmp_path: Path) -> None:
    Film(frames=400, size=(16, 16), channels="stereo", seconds_of_sound=17).write(tmp_path / "clip.mp4")
    command = ["video", "clip.mp4", "-s", "starry.jpg", *SMALL]
    whole = stylize(*command, "-o", "whole.mp4")
    assert whole.returncode == 0, whole.stderr
    checkpoint = tmp_path / ".clip.starry.mp4.stylize" / "journal.json"
    chance = random.Random()
    safe = 0
    for blow in (signal.SIGKILL, signal.SIGINT):
        process = subprocess.Popen(
            [*COMMAND, *command, "--resume"],
            cwd=tmp_path,
            env=environment(),
            stderr=subprocess.PIPE,
            preexec_fn=heed_ctrl_c,
        )
        resting(process, checkpoint, safe + 48)
        time.sleep(chance.random() * 0.2)
        process.send_signal(blow)
        _, stderr = process.communicate(timeout=100)
        assert not (tmp_path / "clip.starry.mp4").exists()
        before, safe = safe, json.loads(checkpoint.read_text())["frames"]
        assert safe >= before + 48 and safe % 48 == 0
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr.decode()
    part = look(tmp_path / "clip.starry.partial.mp4")  # a film that plays, sound and all
    assert len(part.times) == safe
    assert part.packets[0][-1][0] <= part.times[-1] + Fraction(1, 25)

    careless = here(*command[1:])
    assert careless.returncode == 2
    assert "--resume goes on" in careless.err
    other = here(*command[1:], "--resume", "--seed", "3")
    assert other.returncode == 1
    assert "with other options" in other.err

    assert stylize(*command, "--resume").returncode == 0
    assert (tmp_path / "clip.starry.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert left_over(tmp_path) == []
    assert not (tmp_path / "clip.starry.partial.mp4").exists()


@pytest.mark.usefixtures("styles")
def test_a_full_disk_is_one_line_and_costs_nothing_that_was_done(here: Here, tmp_path: Path) -> None:
    Film(frames=50, size=(32, 32), channels="stereo", seconds_of_sound=4).write(tmp_path / "clip.mp4")
    command = ["video", "clip.mp4", "-s", "starry.jpg", *SMALL, "--resume"]

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (30_000, 30_000)
        )  # bytes in one file: the groups fit, the film not

    failed = subprocess.run(
        [*COMMAND, *command],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        preexec_fn=little_room,
        timeout=120,
    )
    assert failed.returncode == 1
    said = failed.stderr.decode().splitlines()
    assert len(said) == 2, said
    assert said[0].startswith("failed clip.mp4: clip.starry.mp4: cannot be written")
    assert not (tmp_path / "clip.starry.mp4").exists()
    again = here(*command[1:])
    assert again.returncode == 0
    assert "going on after 50 frames" in again.err
    assert len(look(tmp_path / "clip.starry.mp4").times) == 50


@pytest.mark.usefixtures("styles")
@pytest.mark.parametrize("option", [(), ("--resume",), ("--overwrite",)])
def test_another_run_is_at_it(here: Here, tmp_path: Path, option: tuple[str, ...]) -> None:
    """Its frames are left alone, and the other film is painted."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("clip.mp4", "other.mp4"):
        Film(frames=2).write(folder / name)
    checkpoint = FilmCheckpoint(tmp_path / "in" / "clip.starry.mp4")
    checkpoint.begin()
    checkpoint.write(Progress("job of the other run", 1, 48, 47, 1), None, Part())
    with claimed(tmp_path / "in" / "clip.starry.mp4"):
        ended = here("in", "-s", "starry.jpg", *option, *SMALL)
        assert checkpoint.read() is not None
    assert ended.returncode == 1
    assert "failed in/clip.mp4: in/clip.starry.mp4: another run is writing this (process " in ended.err
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == [
        ".clip.starry.mp4.stylize",
        "clip.mp4",
        "other.mp4",
        "other.starry.mp4",
    ]


@pytest.mark.usefixtures("styles")
def test_pictures_that_move_in_and_out(here: Here, tmp_path: Path) -> None:
    durations = [50, 80, 50, 120]
    for number in range(4):
        draw(tmp_path / "frames" / f"{number + 7:03d}.png", 33, 31, seed=number)
    pictures = [Image.open(path) for path in sorted((tmp_path / "frames").iterdir())]
    for name, format in (("a.gif", "GIF"), ("b.webp", "WEBP"), ("c.apng", "PNG")):
        pictures[0].save(
            tmp_path / name,
            format=format,
            save_all=True,
            append_images=pictures[1:],
            duration=durations,
            loop=0,
        )
    same = ("-s", "starry.jpg", *SMALL)
    assert here("a.gif", "b.webp", "c.apng", "-o", "out", *same).returncode == 0
    for name in ("a.starry.gif", "b.starry.webp", "c.starry.apng"):
        with Image.open(tmp_path / "out" / name) as image:
            assert (image.size, image.n_frames, image.info["loop"]) == ((33, 31), 4, 0)
            found = []
            for number in range(4):
                image.seek(number)
                image.load()
                found.append(round(image.info["duration"]))
            assert found == durations

    assert here(".", "-s", "starry.jpg", *SMALL).returncode == 0
    again = here(".", "-s", "wave.png", "--dry-run", *SMALL)  # another style does not paint these results
    assert "would write a.wave.gif from a.gif" in again.err and "c.wave.apng" in again.err
    assert "from a.starry" not in again.err and "from c.starry" not in again.err
    for path in tmp_path.glob("*.starry.*"):
        path.unlink()

    assert here("frames/%03d.png", "-o", "painted/%03d.png", *same).returncode == 0
    assert sorted(path.name for path in (tmp_path / "painted").iterdir()) == [
        f"{n:03d}.png" for n in range(7, 11)
    ]
    assert here("frames", "a.gif", "--fps", "10", "-o", "films", *same).returncode == 0
    film = look(tmp_path / "films" / "frames.starry.mp4")
    assert film.times == [Fraction(n, 10) for n in range(4)]
    assert film.size == (33, 31)


@pytest.mark.usefixtures("styles")
def test_previews(here: Here, tmp_path: Path) -> None:
    """Of any film, where its name says; never over a file that is there, unless asked."""
    Film(frames=1).write(tmp_path / "one.mp4")
    Film(frames=3, ticks=[0, 5 * 12800, 10 * 12800], group=1).write(tmp_path / "slides.mkv")
    whole = Film(frames=12).write(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "whole.mp4").unlink()
    (tmp_path / "dead.mp4").write_bytes(_undecodable(whole))
    command = ("-s", "starry.jpg", "--preview", *SMALL)
    names = {"one": 3, "slides": 3}
    told = here("one.mp4", "slides.mkv", *command, "--dry-run", "--json")
    assert [json.loads(line).get("target") for line in told.out][:2] == [
        f"{name}.starry.preview.png" for name in names
    ]
    done = here("one.mp4", "slides.mkv", "dead.mp4", *command)
    assert done.returncode == 1 and "bug" not in done.err
    assert "failed dead.mp4: not one frame can be decoded" in done.err
    for name in names:
        with Image.open(tmp_path / f"{name}.starry.preview.png") as sheet:
            assert sheet.width > 3 * 64
    (tmp_path / "one.starry.preview.png").write_bytes(b"mine")
    assert here("one.mp4", *command).returncode == 0
    assert (tmp_path / "one.starry.preview.png").read_bytes() == b"mine"
    assert here("one.mp4", *command, "--overwrite").returncode == 0
    assert (tmp_path / "one.starry.preview.png").read_bytes() != b"mine"


def _undecodable(film: bytes) -> bytes:
    """A film in which every frame is noise."""
    data = bytearray(film)
    begin = data.index(b"mdat") + 4
    size = int.from_bytes(data[begin - 8 : begin - 4], "big") - 8
    data[begin : begin + size] = b"\xff" * size
    return bytes(data)


@pytest.mark.usefixtures("styles")
def test_what_is_reported_of_a_film_is_its_size(here: Here, tmp_path: Path) -> None:
    Film(frames=5, channels="5.1", seconds_of_sound=2).write(tmp_path / "clip.mp4")
    done = here("clip.mp4", "-s", "starry.jpg", "--json", *SMALL)
    events = [json.loads(line) for line in done.out]
    (size,) = [event["bytes"] for event in events if event["event"] == "done"]
    assert size == (tmp_path / "clip.starry.mp4").stat().st_size


@pytest.mark.usefixtures("styles")
def test_of_a_folder_s_webp_pictures_those_that_move_are_films(here: Here, tmp_path: Path) -> None:
    draw(tmp_path / "in" / "still.webp")
    frames = [Image.open(draw(tmp_path / f"{n}.png", seed=n)) for n in range(2)]
    frames[0].save(tmp_path / "in" / "moving.webp", save_all=True, append_images=frames[1:], duration=90)
    told = here("in", "-s", "starry.jpg", "--dry-run", "--json")
    targets = [json.loads(line).get("target") for line in told.out]
    assert [target for target in targets if target] == ["in/moving.starry.webp"]
    (tmp_path / "in" / "moving.webp").unlink()
    told = here("in", "-s", "starry.jpg", "--dry-run", "--json")  # a folder of pictures is one film
    assert next(json.loads(line).get("target") for line in told.out) == "in.starry.mp4"


@pytest.mark.usefixtures("styles")
def test_sound_that_has_no_place_is_named(here: Here, tmp_path: Path) -> None:
    Film(frames=2, channels="stereo", seconds_of_sound=0.1).write(tmp_path / "clip.mp4")
    for target in ("out.gif", "out/%03d.png"):
        done = here("clip.mp4", "-s", "starry.jpg", "-o", target, *SMALL)
        assert done.returncode == 0 and "its sound is left out" in done.err


@pytest.mark.usefixtures("styles")
def test_styles_are_counted_from_the_film_s_own_beginning(here: Here, tmp_path: Path) -> None:
    Film(frames=50, size=(32, 32)).write(tmp_path / "clip.ts")
    keys = ("--style-at", "0:starry.jpg", "--style-at", "1:starry.jpg", "--style-at", "1.04:wave.png")
    assert here("clip.ts", "-s", "wave.png", "--temporal", "off", "-o", "wave.mkv", *SMALL).returncode == 0
    assert (
        here("clip.ts", *keys, "--temporal", "off", "--start", "1.2", "-o", "late.mkv", *SMALL).returncode
        == 0
    )
    late, wave = look(tmp_path / "late.mkv").pictures, look(tmp_path / "wave.mkv").pictures[30:]
    assert len(late) == len(wave) == 20
    assert np.abs(late[3].astype(float) - wave[3]).mean() < 8


@pytest.mark.usefixtures("styles")
def test_preview_phrases_and_excerpts(here: Here, tmp_path: Path) -> None:
    Film(frames=30).write(tmp_path / "clip.mp4")
    keys = ("--style-at", "0:starry.jpg", "--style-at", "1:wave.png")
    assert here("clip.mp4", *keys, "--preview", *SMALL).returncode == 0
    with Image.open(tmp_path / "clip.starry-wave.preview.png") as sheet:
        assert sheet.width > 3 * 64
    said = here("clip.mp4", "--text", "line sketch", "--start", "0.4", "--max-frames", "3", *SMALL)
    assert said.returncode == 0, said.err
    assert len(look(tmp_path / "clip.line-sketch.mp4").times) == 3


@pytest.mark.usefixtures("styles")
@pytest.mark.parametrize(
    "options,words",
    [
        ((), "no style given"),
        (("-s", "starry.jpg", "--style-at", "0:wave.png"), "--style-at"),
        (("-s", "starry.jpg", "--temporal", "2"), "--temporal 2"),
        (("-s", "starry.jpg", "--fps", "0"), "--fps 0"),
        (("-s", "starry.jpg", "--start", "3", "--end", "2"), "--end 2"),
        (("-s", "starry.jpg", "--codec", "ffv1", "-o", "x.mp4"), ".mkv does"),
        (("-s", "starry.jpg", "-o", "-"), "stdout"),
        (("-s", "starry.jpg", "--codec", "h264-nvenc"), "h264_nvenc"),
    ],
)
def test_wrong_usage(options: tuple[str, ...], words: str, here: Here, tmp_path: Path) -> None:
    Film(frames=2).write(tmp_path / "clip.mp4")
    ended = here("clip.mp4", *options)
    assert ended.returncode == 2
    assert words in ended.err and ended.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "starry.jpg", "wave.png"]
