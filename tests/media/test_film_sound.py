"""Sound of every kind into every container: copied where the container takes it, else recoded, never lost unsaid."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from film_kit import clicks, heard, through, with_sound

from stylecli.media.video.clip import Excerpt

COPIED, RECODED = "copied", "recoded"
# codec, a container that has it -> what becomes of it in .mp4, .mov, .mkv
SOUND = {
    ("aac", ".mp4"): (COPIED, COPIED, COPIED),
    ("aac", ".ts"): (COPIED, COPIED, COPIED),
    ("mp3", ".mkv"): (COPIED, COPIED, COPIED),
    ("mp2", ".mpg"): (COPIED, COPIED, COPIED),
    ("ac3", ".ts"): (COPIED, COPIED, COPIED),
    ("flac", ".mkv"): (COPIED, RECODED, COPIED),
    ("alac", ".mov"): (COPIED, COPIED, COPIED),
    ("opus", ".mkv"): (COPIED, RECODED, COPIED),
    ("pcm_s16le", ".avi"): (COPIED, COPIED, COPIED),
    ("pcm_s24be", ".mov"): (COPIED, COPIED, COPIED),
    ("pcm_mulaw", ".avi"): (RECODED, COPIED, RECODED),
    ("pcm_bluray", ".m2ts"): (RECODED, RECODED, RECODED),
    ("wmav2", ".wmv"): (RECODED, RECODED, RECODED),
    ("adpcm_ms", ".avi"): (RECODED, RECODED, RECODED),
    ("adpcm_ima_wav", ".avi"): (RECODED, RECODED, RECODED),
    ("nellymoser", ".flv"): (RECODED, COPIED, RECODED),
}


@pytest.mark.parametrize("kind", SOUND, ids=lambda kind: "".join(kind))
def test_sound_is_copied_or_recoded_with_a_line(kind: tuple[str, str], tmp_path: Path) -> None:
    codec, suffix = kind
    source = with_sound(tmp_path / f"in{suffix}", codec)
    for target, expected in zip((".mp4", ".mov", ".mkv"), SOUND[kind], strict=True):
        said = through(source, tmp_path / f"out{target}")
        lines = [text for text in said if "audio stream" in text]
        with av.open(str(tmp_path / f"out{target}")) as film:
            assert len(film.streams.audio) == 1, (target, said)
            stream = film.streams.audio[0]
            found = stream.codec_context.codec.canonical_name
        if expected is COPIED:
            assert not lines and found in (codec, "mp3" if codec == "mp2" else codec), (target, said)
        else:
            wanted = "flac" if target == ".mkv" else "aac"
            assert found == wanted, target
            assert (
                len(lines) == 1 and f"({codec}) is recoded as {wanted}: {target} cannot hold it" in lines[0]
            )
        # One second with a click in its middle, wherever it went.
        ((at,), length) = clicks(tmp_path / f"out{target}"), heard(tmp_path / f"out{target}")
        assert at == pytest.approx(0.48, abs=0.05), target
        assert length == pytest.approx(1, abs=0.15), target


@dataclass(frozen=True)
class Part:
    excerpt: Excerpt
    clicks: tuple[float, ...]
    seconds: float


# The film has a white frame and a click in the middle of each of its six seconds.
PARTS = {
    "whole": Part(Excerpt(), (0.5, 1.5, 2.5, 3.5, 4.5, 5.5), 6),
    "start": Part(Excerpt(start=2.72), (0.78, 1.78, 2.78), 3.28),
    "start and end": Part(Excerpt(start=2.72, end=4.72), (0.78, 1.78), 2),
    "rate": Part(Excerpt(fps=Fraction(10)), (0.5, 1.5, 2.5, 3.5, 4.5, 5.5), 6),
    "start, end and rate": Part(Excerpt(start=2.72, end=4.72, fps=Fraction(25, 2)), (0.78, 1.78), 2),
    "frames": Part(Excerpt(max_frames=50), (0.5, 1.5), 2),
}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".mpg", ".flv"])
def test_sound_stays_with_its_picture(suffix: str, tmp_path: Path) -> None:
    codec = {".avi": "mp2", ".mpg": "mp2"}.get(suffix, "aac")
    source = with_sound(tmp_path / f"in{suffix}", codec, seconds=6, begins=0 if suffix == ".avi" else 1.4)
    for (name, part), target in zip(PARTS.items(), itertools.cycle((".mp4", ".mkv", ".mov")), strict=False):
        out = tmp_path / f"out{target}"
        through(source, out, part.excerpt)
        flashes = _flashes(out)
        where = f"{name} {target}"
        assert flashes == pytest.approx(part.clicks, abs=0.11 if part.excerpt.fps else 0.045), where
        assert clicks(out) == pytest.approx(part.clicks, abs=0.045), where
        with av.open(str(out)) as film:
            assert film.duration / 1e6 == pytest.approx(part.seconds, abs=0.16), where


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".mp4", ".mov", ".flv"])
@pytest.mark.parametrize("begins", [1.4, 3600.0])
def test_a_film_that_begins_late_begins_at_once(suffix: str, begins: float, tmp_path: Path) -> None:
    source = with_sound(tmp_path / f"in{suffix}", "aac", seconds=2, begins=begins)
    for target in (".mp4", ".mkv"):
        out = tmp_path / f"out{target}"
        through(source, out)
        assert clicks(out) == pytest.approx((0.5, 1.5), abs=0.045)
        assert _flashes(out) == pytest.approx((0.5, 1.5), abs=0.045)
        with av.open(str(out)) as film:
            assert film.duration / 1e6 == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("sound", ["aac", None])
@pytest.mark.parametrize("kind", ["same again", "far ahead", "back"])
def test_jumps_are_bridged(kind: str, sound: str | None, tmp_path: Path) -> None:
    begins = {"same again": (1.4, 1.4), "far ahead": (1.4, 900.0), "back": (3600.0, 5.0)}[kind]
    parts = [
        with_sound(tmp_path / f"{n}.ts", sound, seconds=2, begins=at).read_bytes()
        for n, at in enumerate(begins)
    ]
    (tmp_path / "in.ts").write_bytes(b"".join(parts))
    said = through(tmp_path / "in.ts", tmp_path / "out.mp4")
    assert any("time stamps jump in one place" in text for text in said)
    assert _flashes(tmp_path / "out.mp4") == pytest.approx((0.5, 1.5, 2.5, 3.5), abs=0.1)
    if sound is not None:
        assert clicks(tmp_path / "out.mp4") == pytest.approx((0.5, 1.5, 2.5, 3.5), abs=0.1)
    through(tmp_path / "in.ts", tmp_path / "part.mp4", Excerpt(start=1, end=3))
    assert _flashes(tmp_path / "part.mp4") == pytest.approx((0.5, 1.5), abs=0.1)
    if sound is not None:
        assert clicks(tmp_path / "part.mp4") == pytest.approx((0.5, 1.5), abs=0.1)


def test_sound_whose_times_go_back_costs_nothing(tmp_path: Path) -> None:
    source = with_sound(tmp_path / "in.flv", "aac", seconds=2)
    data = bytearray(source.read_bytes())
    at, number = 13, 0
    while at + 15 < len(data):  # tags of FLV: kind, size, time
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        if data[at] == 8:
            number += 1
            if number == 20:
                data[at + 4 : at + 7] = (int.from_bytes(data[at + 4 : at + 7], "big") - 80).to_bytes(3, "big")
        at += 15 + size
    source.write_bytes(data)
    for target in (".mp4", ".mkv"):
        through(source, tmp_path / f"out{target}")
        assert len(_flashes(tmp_path / f"out{target}")) == 2
        assert len(clicks(tmp_path / f"out{target}")) == 2


def _flashes(path: Path) -> tuple[float, ...]:
    """Seconds at which the picture turns white."""
    found, before = [], 0.0
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            light = float(np.asarray(frame.to_ndarray(format="gray")).mean())
            if light > 128 > before:
                found.append(frame.time)
            before = light
    return tuple(found)
