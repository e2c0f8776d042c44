"""Small pictures of every kind, damaged in every way, through all of reading and writing."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import cv2
import icc_kit
import numpy as np
import tiff_kit
from PIL import Image, PngImagePlugin

from stylecli.errors import InputError, OutOfMemoryError
from stylecli.media import read_picture, repaint, resize_to_fit, write_picture
from stylecli.media.exif import ExifBlock
from stylecli.media.formats import writer_for
from stylecli.media.ifd import Field, text_field

SECONDS = 10
_MOST = 4_000_000  # pixels that a damaged header may ask for


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    data = BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def seeds() -> dict[str, bytes]:
    """Name with suffix -> a sound file."""
    y, x = np.mgrid[0:24, 0:32]
    rgb = Image.fromarray(np.stack([8 * x, 10 * y, x * y % 256], -1).astype(np.uint8))
    rgba = rgb.copy()
    rgba.putalpha(Image.fromarray((x * 8).astype(np.uint8)))
    grey, wide = rgb.convert("L"), Image.fromarray((x * 2000 + y).astype(np.uint16))
    deep = np.stack([x * 2000, y * 2500, x * y * 80], -1).astype(np.uint16)
    exif = ExifBlock(
        {315: text_field("Zoë"), 274: Field(3, 1, b"\x06\0", "<")}, {37500: Field(7, 40, bytes(40), "<")}
    ).tobytes()
    xmp = b'<x:xmpmeta GCamera:MotionPhoto="1">Zo\xc3\xab</x:xmpmeta>'
    info = PngImagePlugin.PngInfo()
    info.add_itxt("Comment", "schön")
    info.add(b"cICP", bytes([12, 13, 0, 1]))
    moving = {"save_all": True, "append_images": [rgb.rotate(90), grey.convert("RGB")], "duration": 40}
    icc = icc_kit.wide_rgb()
    found = {
        "a.jpg": _saved(rgb, "JPEG", exif=exif, xmp=xmp, comment=b"hello", icc_profile=icc),
        "progressive.jpg": _saved(rgb, "JPEG", progressive=True),
        "cmyk.jpg": _saved(rgb.convert("CMYK"), "JPEG"),
        "a.png": _saved(rgba, "PNG", pnginfo=info, exif=exif),
        "palette.png": _saved(rgb.convert("P"), "PNG", transparency=3, icc_profile=icc),
        "grey.png": _saved(wide, "PNG", icc_profile=icc_kit.linear_grey()),
        "moving.png": _saved(rgb, "PNG", **moving),
        "a.webp": _saved(rgba, "WEBP", exif=exif, xmp=xmp, icc_profile=icc),
        "lossless.webp": _saved(rgb, "WEBP", lossless=True),
        "moving.webp": _saved(rgb, "WEBP", **moving),
        "a.avif": _saved(rgb, "AVIF", exif=exif, xmp=xmp),
        "a.gif": _saved(rgb, "GIF", comment=b"hello"),
        "moving.gif": _saved(rgb, "GIF", **moving),
        "a.bmp": _saved(rgb, "BMP"),
        "a.tga": _saved(rgba, "TGA", compression="tga_rle"),
        "a.ppm": _saved(rgb, "PPM"),
        "a.jp2": _saved(rgb, "JPEG2000"),
        "a.ico": _saved(rgba, "ICO", sizes=[(24, 24)]),
        "pages.tif": _saved(rgb, "TIFF", **moving),
        "lzw.tif": _saved(rgb, "TIFF", compression="tiff_lzw", tiffinfo={315: "Zoë", 700: xmp}),
        "jpeg.tif": _saved(rgb, "TIFF", compression="jpeg"),
        "grey.tif": _saved(wide, "TIFF"),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tif"
        for name, values, planar in (
            ("planar.tif", deep, True),
            ("float.tif", (deep / np.float32(65535)).astype(np.float32), False),
        ):
            tiff_kit.write(path, values, planar=planar)
            found[name] = path.read_bytes()
        tiff_kit.write_raw(path, "Apple", dng=True)
        found["camera.dng"] = path.read_bytes()
    larger = np.tile(deep, (3, 3, 1))  # JPEG 2000 halves its sides five times
    for kind, one in ((".png", deep), (".ppm", deep), (".jp2", larger)):
        found[f"deep{kind}"] = cv2.imencode(kind, one)[1].tobytes()
    shallow = (deep >> 6).astype(np.uint16)
    found["deep.avif"] = cv2.imencode(".avif", shallow, [cv2.IMWRITE_AVIF_DEPTH, 10])[1].tobytes()
    found["twin.mpo"] = _saved(rgb, "MPO", save_all=True, append_images=[rgb])
    for kind, one in (("SGI", rgb), ("PCX", rgb), ("DDS", rgba)):
        found[f"a.{kind.lower()}"] = _saved(one, kind)
    blocks = b"8BIM" + (0x0422).to_bytes(2) + bytes(2) + (len(exif) - 6).to_bytes(4) + exif[6:]
    blocks += bytes(len(exif) % 2)
    head = b"8BPS" + bytes([0, 1, *[0] * 6, 0, 3, 0, 0, 0, 24, 0, 0, 0, 32, 0, 8, 0, 3, 0, 0, 0, 0])
    planes = np.asarray(rgb).transpose(2, 0, 1).tobytes()
    found["a.psd"] = head + len(blocks).to_bytes(4) + blocks + bytes(4) + bytes(2) + planes
    return found


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """A few bytes flipped, mostly in the head where it hurts; some cut short, some with a piece twice or gone."""
    kind = random.integers(0, 6)
    values = bytearray(data)
    if kind == 0:
        return bytes(values[: random.integers(1, len(values))])
    if kind == 1:
        at, size = random.integers(0, len(values)), random.integers(1, 40)
        return bytes(values[:at] + values[at : at + size] + values[at:])
    if kind == 2:
        at, size = random.integers(0, len(values)), random.integers(1, 40)
        return bytes(values[:at] + values[at + size :])
    reach = len(values) if kind == 3 else min(len(values), 400)
    for _ in range(random.integers(1, 9)):
        at = random.integers(0, reach)
        values[at] = random.choice(
            [0, 0xFF, 0x7F, 0x80, values[at] ^ (1 << random.integers(0, 8)), random.integers(0, 256)]
        )
    return bytes(values)


class TooLongError(Exception):
    """A picture that took more than its seconds."""


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outcome(name: str, data: bytes) -> str:
    """``done``, or the line that names the file. Raises whatever else comes out."""
    with _limited(SECONDS):
        try:
            picture = read_picture(BytesIO(data), name=name, max_pixels=_MOST, animated=True)
            painted = repaint(resize_to_fit(picture, 200), np.array, keep=0.5)
            write_picture(painted, BytesIO(), format=writer_for(Path(name).suffix) or "png")
            write_picture(painted, BytesIO(), format="tif")
        except (InputError, OutOfMemoryError) as error:
            assert "pixels of kind" not in str(error), str(error)  # what nobody foresaw
            assert str(error).startswith(("output: ", f"{name}: ")) and "\n" not in str(error), str(error)
            return str(error)
    return "done"
