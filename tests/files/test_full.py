"""A full disk: a result is whole or not there, whoever encodes it; nothing is painted that would find no room."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import draw

from stylecli.errors import InputError
from stylecli.files.atomic import WriteError, atomic_file, check_writable
from stylecli.media import Picture, read_picture, writable_suffixes, write_picture
from stylecli.media.picture import Frame
from stylecli.run.events import Done, Event, Failed, NotBegun, Skipped, Tally
from stylecli.run.images import ImageJob
from stylecli.run.style_specs import collect_styles

NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
FRAMES = (Frame(NOISE[::-1].copy(), None, 50.0), Frame(NOISE[:, ::-1].copy(), None, 50.0))
KINDS = {
    **{suffix: Picture(NOISE) for suffix in writable_suffixes()},
    "16.png": Picture(NOISE.astype(np.uint16) * 257),
    "16.tif": Picture(NOISE.astype(np.uint16) * 257),
    **{f"anim{suffix}": Picture(NOISE, more=FRAMES, duration=50.0) for suffix in (".gif", ".webp", ".png")},
}


def listed(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """``ulimit -f``, in bytes: beyond it the system refuses to write, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of ``size`` bytes; skips where none may be mounted."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True).returncode
    except FileNotFoundError:
        done = 1
    if done:
        pytest.skip("may not mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_cut_off_anywhere_it_is_not_published(tmp_path: Path, kind: str) -> None:
    target = tmp_path / f"a{kind}"
    write_picture(KINDS[kind], target)
    size = target.stat().st_size
    whole = target.read_bytes()
    for limit in (0, 1, size // 3, size // 2, size - 1):
        with largest_file(limit), pytest.raises(InputError, match=r"cannot be written: larger than a file"):
            write_picture(replace(KINDS[kind], dpi=None), target)
        assert target.read_bytes() == whole and listed(tmp_path) == [target.name]
    with largest_file(size):
        write_picture(KINDS[kind], target)
    assert read_picture(target).size == (60, 80)


@pytest.mark.parametrize("suffix", [".jpg", ".jp2", ".png", ".tif", ".gif"])
def test_a_small_disk_at_every_fill_level(tmp_path: Path, suffix: str) -> None:
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        good = 0
        for level in range(14):
            (disk / "fill").write_bytes(b"\0" * ((1 << 20) - 4096 * (level + 1)))
            target = disk / f"a{suffix}"
            try:
                write_picture(Picture(NOISE), target)
            except InputError as error:
                assert "the disk is full" in str(error)
                assert listed(disk) == ["fill"]
            else:
                assert read_picture(target).size == (60, 80)
                read_picture(target)
                target.unlink()
                good += 1
            (disk / "fill").unlink()
        assert 0 < good < 14


def test_what_a_library_swallows_is_said(tmp_path: Path) -> None:
    """FFmpeg and OpenJPEG go on after a failed write; here a caller that hides the error altogether."""
    with (
        largest_file(10),
        pytest.raises(WriteError, match="larger than a file"),
        atomic_file(tmp_path / "a") as file,
    ):
        for _ in range(5):
            assert file.write(b"12345") == 5
        raise ValueError("an encoder's own words")
    assert listed(tmp_path) == []


def test_places_are_tried_without_leaving_anything(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    good, below = tmp_path / "new" / "folder" / "a.png", tmp_path / "file" / "a.png"
    long = tmp_path / ("a" * 300 + ".png")
    problems = check_writable([good, below, long])
    assert set(problems) == {below, long}
    assert "the name is too long" in str(problems[long])
    assert sorted(listed(tmp_path)) == ["file"]


def test_small_results_fit_below_a_limit(tmp_path: Path) -> None:
    with largest_file(1000):
        assert check_writable([tmp_path / "a.png"]) == {}
    assert listed(tmp_path) == []


def photographs(folder: Path, count: int) -> list[str]:
    return [str(draw(folder / f"{number}.png", 40, 40, seed=number)) for number in range(count)]


def run(job: ImageJob, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Event], int]:
    """Events, and how many pictures were painted; by no network, for what is tested is what becomes of them."""
    painted: list[int] = []

    def paint(pixels: np.ndarray) -> np.ndarray:
        painted.append(1)
        return pixels

    monkeypatch.setattr("stylecli.run.images.resolve_painters", lambda *_: {"s": paint})
    events: list[Event] = []
    plan = job.plan(events.append)
    job.run(plan, lambda: SimpleNamespace(settings={}), events.append)  # type: ignore[arg-type,return-value]
    return events, len(painted)


@pytest.fixture
def style(tmp_path: Path) -> Path:
    return draw(tmp_path / "s.png", 20, 20)


def test_a_full_disk_is_found_before_anything_is_painted(
    tmp_path: Path, style: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = photographs(tmp_path / "in", 5)
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        (disk / "fill").write_bytes(b"\0" * (1 << 20))
        events, painted = run(ImageJob(inputs, collect_styles([style], []), output=f"{disk}/"), monkeypatch)
    assert painted == 0 and [type(event) for event in events] == [Failed] + [NotBegun] * 4
    assert {event.source for event in events} == set(map(Path, inputs))


def test_the_first_that_finds_no_room_ends_it(
    tmp_path: Path, style: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [*photographs(tmp_path / "in", 40), str(tmp_path / "missing.png")]
    with small_disk(tmp_path / "disk", 1 << 17) as disk:
        (disk / "fill").write_bytes(b"\0" * ((1 << 17) - 69632))
        job = ImageJob(inputs, collect_styles([style], []), output=f"{disk}/", format="bmp")
        events, painted = run(job, monkeypatch)
        whole = [read_picture(event.target).size for event in events if isinstance(event, Done)]
    tally = Tally()
    for event in events:
        tally.add(event)
    assert tally.done and tally.done + tally.failed == 41 and painted < 30
    assert tally.not_begun == 40 - tally.done - 1
    assert whole == [(40, 40)] * tally.done


def test_what_appeared_meanwhile_stays(tmp_path: Path, style: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = photographs(tmp_path / "in", 2)
    job = ImageJob(inputs, collect_styles([style], []))
    read = ImageJob._read

    def late(self: ImageJob, source: Path) -> Picture:
        source.with_name("1.s.png").write_bytes(b"the user's own")
        return read(self, source)

    monkeypatch.setattr(ImageJob, "_read", late)
    events, _ = run(job, monkeypatch)
    kinds = [type(event) for event in events]
    assert kinds.count(Done) == 1 and kinds.count(Skipped) == 1
    assert (tmp_path / "in" / "1.s.png").read_bytes() == b"the user's own"
    assert not [name for name in listed(tmp_path / "in") if name.startswith(".")]
