"""What is opened as a film, and under which names: files that hold their own pictures, and no others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from film_kit import Film
from PIL import Image

from stylecli.errors import InputError
from stylecli.media import read_picture
from stylecli.media.video.clip import Excerpt
from stylecli.media.video.source import open_source

PLAYLISTS = {
    "ffconcat": "ffconcat version 1.0\nfile other.mp4\n",
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{folder}/other.mp4\n#EXT-X-ENDLIST\n",
    "HLS by URL": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{folder}/other.mp4\n#EXT-X-ENDLIST\n",
    "DASH": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    "<Representation><BaseURL>{folder}/other.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>\n",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "IMF": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"/>\n',
    "image list": "{folder}/%d.png\n",
}


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".ffconcat", ".mpd", ".sdp"])
@pytest.mark.parametrize("text", PLAYLISTS.values(), ids=PLAYLISTS.keys())
def test_playlists_are_refused(text: str, suffix: str, tmp_path: Path) -> None:
    Film(frames=2).write(tmp_path / "other.mp4")
    path = tmp_path / f"list{suffix}"
    path.write_text(text.format(folder=tmp_path) if "{folder}" in text else text)
    with pytest.raises(InputError) as failed:
        open_source(path, Excerpt())
    assert str(failed.value).startswith(f"{path}: ") and "\n" not in str(failed.value)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp", ".bmp", ".mp4"])
def test_a_picture_is_said_to_be_one_and_a_film_too(suffix: str, tmp_path: Path) -> None:
    picture = tmp_path / f"a{suffix}"
    Image.new("RGB", (40, 30)).save(picture, None if suffix != ".mp4" else "JPEG")
    with pytest.raises(InputError, match="a picture, not a film: stylize image paints it"):
        open_source(picture, Excerpt())
    film = Film(frames=2).write(tmp_path / "f.mp4")
    with pytest.raises(InputError, match="stylize video paints those"):
        read_picture(film.rename(tmp_path / f"b{suffix}"))


@pytest.mark.parametrize(
    "name",
    [
        "Trip: day 1.mp4",
        "http:x.mp4",
        "50% off.mp4",
        "50%discount.mp4",
        "frame%03d.mp4",
        "-x.mp4",
        "a?b#c.mp4",
        "é 山.mp4",
    ],
)
def test_any_name_is_a_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Film(frames=2).write(tmp_path / "plain.mp4").rename(tmp_path / name)
    for path in (Path(name), tmp_path / name):
        assert len(list(open_source(path, Excerpt()).frames())) == 2


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(str(tmp_path)) + b"/caf\xe9.mp4"))
    Film(frames=2).write(tmp_path / "plain.mp4").rename(path)
    assert len(list(open_source(path, Excerpt()).frames())) == 2
