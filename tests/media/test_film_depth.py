"""Transparency and HDR."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from film_kit import through

from stylecli.media import Picture, write_picture
from stylecli.media.video.clip import Excerpt
from stylecli.media.video.colour import Colour
from stylecli.media.video.encoding import Encoding
from stylecli.media.video.hdr import ToneMapper
from stylecli.media.video.sink import FilmSink
from stylecli.media.video.source import open_source
from stylecli.paint.pixels import to_depth, to_floats


def glass(number: int) -> np.ndarray:
    """A square that moves, and half glass beside it; (48, 64, 4)."""
    picture = np.full((48, 64, 4), 200, np.uint8)
    picture[..., 3] = 0
    picture[10:30, 4 + number : 24 + number, 3] = 255
    picture[30:40, 40:60, 3] = 128
    return picture


def transparent(path: Path, codec: str, pix_fmt: str) -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        if codec == "libvpx-vp9":
            stream.metadata["alpha_mode"] = "1"
            stream.codec_context.bit_rate = 500_000
        for number in range(6):
            frame = av.VideoFrame.from_ndarray(glass(number), "rgba").reformat(format=pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


FILMS = {
    "vp9.webm": ("libvpx-vp9", "yuva420p"),
    "vp9.mkv": ("libvpx-vp9", "yuva420p"),
    "prores.mov": ("prores_ks", "yuva444p10le"),
    "animation.mov": ("qtrle", "argb"),
    "png.mov": ("png", "rgba"),
    "ffv1.mkv": ("ffv1", "yuva444p"),
}
# where it goes, and how that is encoded -> whether transparency is kept
TARGETS = {
    (".mov", None): True,
    (".mkv", None): True,
    (".mp4", None): False,
    (".mov", "h264"): False,
    (".mkv", "ffv1"): True,
    (".webm", "vp9"): True,
}


@pytest.mark.parametrize("name", FILMS)
def test_transparency_is_kept_or_named(name: str, tmp_path: Path) -> None:
    path = transparent(tmp_path / name, *FILMS[name])
    for (suffix, codec), kept in TARGETS.items():
        out = tmp_path / f"out{suffix}"
        said = through(path, out, encoding=Encoding(codec))
        assert any("transparency is left out" in text for text in said) is not kept, (suffix, codec, said)
        frames = list(open_source(out, Excerpt()).frames())
        assert len(frames) == 6
        for number, frame in enumerate(frames):
            if not kept:
                assert frame.alpha is None
                continue
            assert frame.alpha is not None, (suffix, codec)
            assert np.abs(frame.alpha.astype(float) - glass(number)[..., 3]).mean() < 4, (suffix, codec)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("suffix", "encoding"),
    [
        (".mkv", Encoding("ffv1", pix_fmt="yuva444p")),
        (".mov", Encoding("prores", pix_fmt="yuva444p10le")),
        (".mp4", Encoding()),
    ],
)
def test_pictures_of_any_depth_with_transparency(
    suffix: str, encoding: Encoding, dtype: type[np.integer[Any]], tmp_path: Path
) -> None:
    wanted = glass(0)[..., 3] // 2 + 128  # never more than half transparent
    for number in range(2):
        picture = Picture(to_depth(glass(0)[..., :3], dtype), to_depth(wanted, dtype))
        write_picture(picture, tmp_path / f"{number}.png")
    source = open_source(tmp_path / "%d.png", Excerpt())
    sink = FilmSink(tmp_path / f"out{suffix}", encoding.plan(source.clip), tmp_path, None)
    sink.begin(0, 0)
    for frame in source.frames():
        sink.add(frame, to_floats(frame.pixels))
    sink.cut()
    lost = any("transparency is left out" in text for text in sink.finish(1))
    assert lost is (suffix == ".mp4")
    for frame in open_source(tmp_path / f"out{suffix}", Excerpt()).frames():
        assert np.abs(to_floats(frame.pixels) * 255 - 200).mean() < 2
        if not lost:
            assert frame.alpha is not None
            assert np.abs(frame.alpha.astype(float) - wanted).mean() < 4


def test_colours_that_transparency_hides_are_not_seen(tmp_path: Path) -> None:
    frames = []
    for hidden in (0, 255):
        path = tmp_path / f"{hidden}.mov"
        with av.open(str(path), "w") as output:
            stream = output.add_stream("png", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "rgba"
            picture = glass(0)
            picture[picture[..., 3] == 0, :3] = hidden
            frame = av.VideoFrame.from_ndarray(picture, "rgba")
            frame.pts, frame.time_base = 0, Fraction(1, 25)
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        frames += open_source(path, Excerpt()).frames()
    assert (frames[0].pixels == frames[1].pixels).all()


def test_tone_mapping_is_that_of_the_recommendations() -> None:
    def grey(colour: Colour, code: float) -> float:
        pixels = np.full((1, 1, 3), round(code * 65535), np.uint16)
        return float(ToneMapper(colour).to_sdr(pixels)[0, 0, 1]) / 65535

    pq, hlg = Colour(1, 9, 9, 16), Colour(1, 9, 9, 18)
    assert grey(pq, 0) == grey(hlg, 0) == 0
    # 26 cd/m² of a film for 1000 lies under the knee and stays; BT.1886 shows it on a screen whose white is 203.
    assert grey(pq, 0.3838) == pytest.approx((26.1 / 203) ** (1 / 2.4), abs=0.01)
    assert grey(pq, 0.7518) == pytest.approx(1, abs=0.005)  # 1000 cd/m²
    assert grey(hlg, 1) == pytest.approx(1, abs=0.005)
    assert grey(hlg, 0.38) == pytest.approx(grey(pq, 0.3838), abs=0.02)  # 18 % grey: BT.2408-7, table 1
    for colour in (pq, hlg):
        ramp = [grey(colour, code) for code in np.linspace(0, 1, 41)]
        assert (np.diff(ramp) > -0.001).all()
        saturated = ToneMapper(colour).to_sdr(np.array([[[40000, 0, 0]]], np.uint16))[0, 0]
        assert saturated[0] > 30000 and saturated[1] < 3000 and saturated[2] < 3000


@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_films_become_sdr(transfer: int, tmp_path: Path) -> None:
    path = tmp_path / "in.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx265", rate=25, options={"x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        context = stream.codec_context
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = (
            1,
            9,
            9,
            transfer,
        )
        for number in range(3):
            pixels = np.repeat(np.linspace(0, 40000, 64).astype(np.uint16)[None, :, None], 3, 2).repeat(48, 0)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb48le").reformat(
                format="yuv420p10le", dst_colorspace=9, dst_color_range=1
            )
            frame.pts, frame.time_base = number, Fraction(1, 25)
            frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc = 1, 9, 9, transfer
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    said = through(path, tmp_path / "out.mp4")
    assert any("becomes SDR: tone-mapped as in ITU-R BT.2390" in text for text in said)
    with av.open(str(tmp_path / "out.mp4")) as film:
        (first, *_) = film.decode(video=0)
        assert (first.colorspace, first.color_primaries, first.color_trc) == (1, 1, 1)
    (frame, *_) = open_source(tmp_path / "out.mp4", Excerpt()).frames()
    line = frame.pixels.astype(float).mean((0, 2))
    wanted = ToneMapper(Colour(1, 9, 9, transfer)).to_sdr(
        np.repeat(np.linspace(0, 40000, 64).astype(np.uint16)[None, :, None], 3, 2)
    )
    assert np.abs(line - wanted[0, :, 0] / 257).mean() < 3
