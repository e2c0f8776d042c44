"""Tags, titles, chapters, cover pictures and further streams: carried over, or named where they cannot be."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from film_kit import Film, through
from PIL import Image

from stylecli.media.video.clip import Excerpt
from stylecli.media.video.encoding import Encoding

TAGS = {
    "title": "Zoë",
    "artist": "山田",
    "comment": "© 2024",
    "date": "2024",
    "creation_time": "2024-01-01T09:00:00.000000Z",
    "location": "+48.1000+011.5000/",
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.model": "iPhone 15",
    "com.apple.quicktime.location.ISO6709": "+48.1+011.5/",
    "com.apple.quicktime.creationdate": "2024-01-01T10:00:00+0100",
    "director": "Agnès Varda",
}
QUICKTIME = {key: value for key, value in TAGS.items() if key != "director"}
PLAIN = {key: value for key, value in TAGS.items() if not key.startswith("com.")}


def tagged(path: Path, tags: dict[str, str], *, cover: bool = False, second: bool = False) -> Path:
    options = {"movflags": "use_metadata_tags"} if path.suffix in (".mp4", ".mov") else {}
    with av.open(str(path), "w", options=options if "com.apple.quicktime.make" in tags else {}) as output:
        picture = output.add_stream("mpeg4", rate=25)
        sound = output.add_stream("aac", rate=48000)
        streams = [picture, *([output.add_stream("mpeg4", rate=25)] if second else [])]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound.metadata["title"], sound.metadata["language"] = "Director's comments", "fra"
        output.metadata.update(tags)
        base = Fraction(1, 1000)
        chapters = [
            {
                "id": n,
                "start": 500 * n,
                "end": 500 * n + 500,
                "time_base": base,
                "metadata": {"title": f"C{n}"},
            }
            for n in range(4)
        ]
        output.set_chapters(chapters)
        if cover:
            image = path.with_suffix(".png")
            Image.new("RGB", (16, 16), (200, 30, 30)).save(image)
            if path.suffix == ".mkv":
                output.add_attachment("cover.png", "image/png", image.read_bytes())
            else:
                poster = output.add_stream("png")
                poster.width, poster.height, poster.pix_fmt = 16, 16, "rgb24"
                poster.disposition = av.stream.Disposition.attached_pic
                (packet,) = [
                    *poster.encode(av.VideoFrame.from_image(Image.open(image))),
                    *poster.encode(None),
                ]
                packet.pts = packet.dts = 0
                output.mux(packet)
        for number in range(50):
            for stream in streams:
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 4 * number, np.uint8))
                frame.pts, frame.time_base = number, Fraction(1, 25)
                output.mux(stream.encode(frame))
        for number in range(90):
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 1024 * number, Fraction(1, 48000)
            output.mux(sound.encode(frame))
        for stream in (*streams, sound):
            output.mux(stream.encode(None))
    return path


def tags_of(path: Path) -> dict[str, str]:
    with av.open(str(path)) as film:
        return {key.lower(): value for key, value in film.metadata.items()}


@pytest.mark.parametrize("tags", [QUICKTIME, PLAIN], ids=["QuickTime", "plain"])
@pytest.mark.parametrize("source", [".mp4", ".mov", ".mkv"])
def test_tags_are_carried_or_named(source: str, tags: dict[str, str], tmp_path: Path) -> None:
    path = tagged(tmp_path / f"in{source}", tags)
    before = tags_of(path)
    assert before["title"] == "Zoë"
    for target in (".mp4", ".mov", ".mkv"):
        said = " ".join(through(path, tmp_path / f"out{target}"))
        after = tags_of(tmp_path / f"out{target}")
        for key in tags:
            if key in before and after.get(key) != before[key]:
                assert key.lower() in said.lower(), (key, target)
        wanted = [
            key
            for key in before
            if key.startswith("com.") or key in ("title", "artist", "comment", "location")
        ]
        assert [after.get(key) for key in wanted] == [before[key] for key in wanted], target
        with av.open(str(tmp_path / f"out{target}")) as film:
            (sound,) = film.streams.audio
            kept = {key.lower(): value for key, value in sound.metadata.items()}
            assert (kept.get("title") or kept.get("name")) == "Director's comments", target
            assert kept["language"] == "fra"


@pytest.mark.parametrize("language", ["deu", "nld", "jpn", "swe", "ces", "tlh", "ger"])
def test_languages_are_carried_or_named(language: str, tmp_path: Path) -> None:
    film = Film(frames=2, channels="stereo", seconds_of_sound=0.1, language=language)
    path = film.write(tmp_path / "in.mkv")
    for target in (".mp4", ".mov", ".mkv"):
        said = through(path, tmp_path / f"out{target}")
        with av.open(str(tmp_path / f"out{target}")) as out:
            found = out.streams.audio[0].language
        same = {language, {"deu": "ger", "nld": "dut", "swe": "sve"}.get(language, language)}
        named = any(f"the language of stream 1 ({language})" in text for text in said)
        assert (found in same) != named, (target, found, said)
        assert target == ".mov" or not named


@pytest.mark.parametrize("source", [".mp4", ".mkv"])
def test_chapters_follow_an_excerpt(source: str, tmp_path: Path) -> None:
    path = tagged(tmp_path / f"in{source}", PLAIN)
    for target in (".mp4", ".mkv"):
        through(path, tmp_path / f"out{target}", Excerpt(start=0.8, end=1.6))
        with av.open(str(tmp_path / f"out{target}")) as film:
            found = [
                (chapter["metadata"]["title"], float(chapter["start"] * chapter["time_base"]))
                for chapter in film.chapters()
            ]
        assert found == [
            ("C1", 0),
            ("C2", pytest.approx(0.2, abs=0.03)),
            ("C3", pytest.approx(0.7, abs=0.03)),
        ]


@pytest.mark.parametrize("source", [".mp4", ".mov", ".mkv"])
def test_cover_pictures_are_carried(source: str, tmp_path: Path) -> None:
    path = tagged(tmp_path / f"in{source}", PLAIN, cover=True)
    with av.open(str(path)) as film:
        covers = [one for one in film.streams.video if one.disposition & av.stream.Disposition.attached_pic]
        if not covers:
            pytest.skip(f"FFmpeg writes no cover pictures into {source}")
    for target in (".mp4", ".mov", ".mkv"):
        said = through(path, tmp_path / f"out{target}")
        with av.open(str(tmp_path / f"out{target}")) as film:
            covers = [
                one for one in film.streams.video if one.disposition & av.stream.Disposition.attached_pic
            ]
            if covers:
                (cover,) = film.decode(covers[0])
                assert cover.to_ndarray(format="rgb24")[8, 8].tolist() == [200, 30, 30], target
            else:
                assert any("cover picture is left out" in text for text in said), target


def test_a_further_picture_is_named(tmp_path: Path) -> None:
    path = tagged(tmp_path / "in.mkv", PLAIN, second=True)
    said = through(path, tmp_path / "out.mkv")
    assert any("video stream 2 (mpeg4) is left out: only the first is painted" in text for text in said)


def test_hevc_plays_on_apples(tmp_path: Path) -> None:
    path = tagged(tmp_path / "in.mp4", PLAIN)
    for target in (".mp4", ".mov"):
        through(path, tmp_path / f"out{target}", encoding=Encoding("hevc", preset="ultrafast"))
        assert b"hvc1" in (tmp_path / f"out{target}").read_bytes()
