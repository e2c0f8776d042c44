"""Films in and out without a network: what is read, what is written, and what comes through unchanged."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from film_kit import NTSC, Film, grey, look, moving, ramp, through, with_sound

from stylecli.errors import InputError, UsageError
from stylecli.media.video.clip import Excerpt
from stylecli.media.video.encoding import Encoding
from stylecli.media.video.source import open_source

VFR = [512 * (n + 3 * (n // 4)) + 7 * (n % 3) for n in range(12)]
FILMS = {
    "29.97": Film(rate=NTSC, channels="stereo"),
    "variable": Film(ticks=VFR, channels="mono"),
    "late start": Film(ticks=[n + 3333 for n in VFR], channels="stereo"),
    "5.1, longer than the picture": Film(channels="5.1", seconds_of_sound=1.5),
    "silent": Film(),
    "odd": Film(size=(63, 47), pix_fmt="yuv444p"),
    "10 bit": Film(pix_fmt="yuv420p10le"),
    "hevc": Film(codec="libx265", options={"x265-params": "log-level=none"}),
    "full range": Film(colour=(2, 5, 5, 6)),
    "bt2020": Film(colour=(1, 9, 9, 14)),
    "chapters and tags": Film(
        chapters=True, metadata={"title": "Über uns", "comment": "zwei"}, channels="stereo"
    ),
}


@pytest.mark.parametrize("film", FILMS.values(), ids=FILMS.keys())
def test_everything_but_the_picture_is_the_same(film: Film, tmp_path: Path) -> None:
    before = look(film.write(tmp_path / "in.mp4"))
    through(tmp_path / "in.mp4", tmp_path / "out.mp4")
    after = look(tmp_path / "out.mp4")
    assert after.times == before.times
    assert after.packets == before.packets
    assert after.size == before.size
    assert after.colour == before.colour
    assert (after.aspect or 1) == (before.aspect or 1)
    assert after.language == before.language == "deu"
    assert after.chapters == before.chapters
    assert after.duration == pytest.approx(before.duration, abs=0.002)
    for name in ("title", "comment"):
        assert after.metadata.get(name) == before.metadata.get(name)
    error = np.abs(np.stack(after.pictures).astype(float) - np.stack(before.pictures)).mean()
    assert error < 3


COLOURS = [(1, 1, 1, 1), (2, 1, 1, 1), (1, 5, 5, 6), (1, 6, 6, 6), (1, 9, 9, 14), (0, 2, 2, 2)]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv444p"])
@pytest.mark.parametrize("colour", COLOURS, ids=str)
def test_a_grey_ramp_stays_what_it_is(
    colour: tuple[int, int, int, int], pix_fmt: str, tmp_path: Path
) -> None:
    film = Film(draw=ramp, frames=2, size=(256, 16), colour=colour, pix_fmt=pix_fmt, options={"crf": "4"})
    film.write(tmp_path / "in.mp4")
    through(tmp_path / "in.mp4", tmp_path / "out.mp4", encoding=Encoding(crf=10))
    before, after = grey(tmp_path / "in.mp4"), grey(tmp_path / "out.mp4")
    assert np.abs(before - np.linspace(0, 255, 256)).mean() < 1
    assert np.abs(after - before).mean() < 1
    assert after[0] < 2 and after[-1] > 253  # black is black, white is white
    assert look(tmp_path / "out.mp4").colour == colour


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_turned_films_come_out_upright(rotation: int, tmp_path: Path) -> None:
    Film(rotation=rotation).write(tmp_path / "in.mp4")
    assert through(tmp_path / "in.mp4", tmp_path / "out.mp4") == []
    after = look(tmp_path / "out.mp4")
    assert after.rotation == 0
    assert after.size == ((64, 48) if rotation == 180 else (48, 64))
    upright = np.rot90(moving(3, 64, 48), rotation // 90)
    assert np.abs(after.pictures[3].astype(float) - upright).mean() < 6


def test_interlaced_films_are_deinterlaced_with_every_time_kept(tmp_path: Path) -> None:
    film = Film(options={"x264-params": "tff=1", "flags": "+ildct+ilme"})
    before = look(film.write(tmp_path / "in.mp4"))
    said = through(tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert any(text.startswith("interlaced") for text in said)
    assert look(tmp_path / "out.mp4").times == before.times


def test_hdr_is_refused_on_request(tmp_path: Path) -> None:
    path = Film(colour=(1, 9, 9, 16), pix_fmt="yuv420p10le").write(tmp_path / "hdr.mp4")
    with pytest.raises(InputError, match="HDR"):
        open_source(path, Excerpt(hdr=False))


@pytest.mark.parametrize(
    "codec,suffix", [("hevc", ".mp4"), ("av1", ".mkv"), ("prores", ".mov"), ("ffv1", ".mkv")]
)
def test_codecs(codec: str, suffix: str, tmp_path: Path) -> None:
    before = look(Film(channels="stereo", size=(64, 64)).write(tmp_path / "in.mp4"))
    encoding = Encoding(codec)
    encoding.check()
    policy = os.sched_getscheduler(0) if hasattr(os, "sched_getscheduler") else None
    through(tmp_path / "in.mp4", tmp_path / f"out{suffix}", encoding=encoding)
    assert policy is None or os.sched_getscheduler(0) == policy  # SVT-AV1 makes root's threads real-time ones
    after = look(tmp_path / f"out{suffix}")
    assert [data for _, data in after.packets[0]] == [data for _, data in before.packets[0]]
    assert len(after.times) == 12
    if suffix == ".mkv":  # it counts in milliseconds, and from the sound's first packet, which is earlier
        late = after.times[0] - before.times[0]
        assert late == -round(before.packets[0][0][0], 3)
        assert max(abs(a - b - late) for a, b in zip(after.times, before.times, strict=True)) <= Fraction(
            1, 1000
        )
    else:
        assert after.times == before.times
    assert np.abs(np.stack(after.pictures).astype(float) - np.stack(before.pictures)).mean() < 6


def test_odd_sizes_are_kept_or_padded_on_request(tmp_path: Path) -> None:
    Film(size=(63, 47), pix_fmt="yuv444p").write(tmp_path / "in.mp4")
    said = through(tmp_path / "in.mp4", tmp_path / "kept.mp4")
    assert any("63x47" in text for text in said)
    assert look(tmp_path / "kept.mp4").size == (63, 47)
    through(tmp_path / "in.mp4", tmp_path / "padded.mp4", encoding=Encoding(pix_fmt="yuv420p"))
    assert look(tmp_path / "padded.mp4").size == (64, 48)


def test_ten_bits_stay_ten_on_request(tmp_path: Path) -> None:
    Film(pix_fmt="yuv420p10le").write(tmp_path / "in.mp4")
    assert any("8 bits" in text for text in through(tmp_path / "in.mp4", tmp_path / "8.mp4"))
    assert look(tmp_path / "8.mp4").pix_fmt == "yuv420p"
    through(tmp_path / "in.mp4", tmp_path / "10.mp4", encoding=Encoding(pix_fmt="yuv420p10le"))
    assert look(tmp_path / "10.mp4").pix_fmt == "yuv420p10le"


def test_excerpts(tmp_path: Path) -> None:
    before = look(Film(frames=50, channels="stereo", seconds_of_sound=2).write(tmp_path / "in.mp4"))
    through(tmp_path / "in.mp4", tmp_path / "part.mp4", Excerpt(start=0.8, end=1.2))
    part = look(tmp_path / "part.mp4")
    assert part.times == [Fraction(n, 25) for n in range(10)]
    assert np.abs(part.pictures[0].astype(float) - before.pictures[20]).mean() < 4
    assert 0.3 < float(part.packets[0][-1][0] - part.packets[0][0][0]) < 0.45
    kept = {data for _, data in part.packets[0]}
    assert kept < {data for _, data in before.packets[0]}

    through(tmp_path / "in.mp4", tmp_path / "first.mp4", Excerpt(max_frames=7))
    first = look(tmp_path / "first.mp4")
    assert first.times == before.times[:7]
    assert first.duration < 0.35

    through(tmp_path / "in.mp4", tmp_path / "slow.mp4", Excerpt(fps=Fraction(10)))
    slow = look(tmp_path / "slow.mp4")
    assert slow.times == [Fraction(n, 10) for n in range(20)]
    assert slow.packets == before.packets

    through(tmp_path / "in.mp4", tmp_path / "small.mp4", Excerpt(max_size=33))
    assert look(tmp_path / "small.mp4").size == (32, 24)

    with pytest.raises(InputError, match="before --start"):
        open_source(tmp_path / "in.mp4", Excerpt(start=9))


@pytest.mark.parametrize(
    "suffix,codec,text", [(".mkv", "subrip", b"Guten Tag"), (".mp4", "mov_text", b"\0\x09Guten Tag")]
)
def test_subtitles_and_attachments(suffix: str, codec: str, text: bytes, tmp_path: Path) -> None:
    path = Film(subtitle=(codec, text), channels="stereo").write(tmp_path / f"in{suffix}")
    before = look(path)
    assert (Fraction(1, 25), text) in before.packets[1]
    assert through(path, tmp_path / f"out{suffix}") == []
    after = look(tmp_path / f"out{suffix}")
    assert after.packets == before.packets
    assert after.attachments == before.attachments == (["font.ttf"] if suffix == ".mkv" else [])
    other = ".mp4" if suffix == ".mkv" else ".mkv"
    said = through(path, tmp_path / f"out{other}")
    twin = "mov_text" if suffix == ".mkv" else "subrip"
    assert f"subtitle stream 2 ({codec}) becomes {twin}, without styles: {other} cannot hold it" in said
    if suffix == ".mkv":  # what a container cannot hold is said
        assert any("attachment stream 3" in text and "is left out" in text for text in said)
    twins = [one for one in look(tmp_path / f"out{other}").packets[1] if one[1] != b"\0\0"]
    assert len(twins) == 1 and b"Guten Tag" in twins[0][1]
    late = Fraction(1024, 48000) if other == ".mkv" else 0  # Matroska begins with the sound
    assert abs(twins[0][0] - late - Fraction(1, 25)) <= Fraction(1, 1000)


@pytest.mark.parametrize(
    "encoding,words",
    [
        (Encoding(pix_fmt="rgb9"), "--pix-fmt rgb9: libx264 takes yuv420p"),
        (Encoding("ffv1", crf=3), "--crf 3"),
        (Encoding("prores", preset="fast"), "--preset fast"),
        (Encoding(preset="hurry"), "--preset hurry: libx264 takes ultrafast"),
        (Encoding("hevc", preset="hurry"), "--preset hurry: libx265 takes"),
        (Encoding("hevc", crf=60), "--codec hevc --crf 60"),
        (Encoding("av1", preset="99"), "--preset 99"),
        (Encoding("h264-nvenc"), "h264_nvenc does not start .*NVIDIA card"),
    ],
)
def test_wrong_settings_are_usage_errors(
    encoding: Encoding, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=words):
        encoding.check()
    assert capfd.readouterr() == ("", "")  # libraries say nothing past us


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9", "prores", "ffv1"])
def test_codecs_go_into_the_containers_that_they_name(codec: str, tmp_path: Path) -> None:
    source = with_sound(tmp_path / "in.ts", "aac")
    encoding = Encoding(codec)
    for suffix in (".mp4", ".m4v", ".mov", ".mkv", ".webm"):
        out = tmp_path / f"out{suffix}"
        if suffix in encoding.suffixes:
            through(source, out, Excerpt(max_frames=4), encoding)
            assert len(look(out).times) == 4, suffix
        elif suffix in (".mov", ".webm"):
            with pytest.raises((InputError, ValueError)):
                through(source, out, Excerpt(max_frames=4), encoding)


SIZES = [(1, 1), (2, 2), (3, 5), (6, 10), (16, 16), (17, 15)]


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9", "prores", "ffv1"])
def test_small_films_are_made_or_refused_in_one_quiet_line(
    codec: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    suffix = {"prores": ".mov", "ffv1": ".mkv", "vp9": ".mkv", "av1": ".mkv"}.get(codec, ".mp4")
    for size in SIZES:
        source = Film(codec="ffv1", pix_fmt="yuv444p", size=size, frames=2).write(tmp_path / "in.mkv")
        try:
            through(source, tmp_path / f"out{suffix}", encoding=Encoding(codec))
        except InputError as error:
            assert f"does not take {size[0] + size[0] % 2}" in str(error) or f"{size[0]}x{size[1]}" in str(
                error
            )
            assert min(size) < 16
        else:
            assert len(look(tmp_path / f"out{suffix}").times) == 2
    assert capfd.readouterr() == ("", "")
