"""Cameras' raw files, developed by LibRaw (rawpy, extra ``[raw]``): 16 bits, sRGB, the camera's own white balance."""

from __future__ import annotations

from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from stylecli.errors import InputError
from stylecli.media.formats import develops
from stylecli.media.ifd import Directory
from stylecli.media.metadata import read_metadata
from stylecli.media.picture import Picture
from stylecli.media.reasons import RAW_FILE, detail, one_line, too_large
from stylecli.memory import check_file

MISSING = "pip install 'stylecli[raw]' lets it be read, or develop it to TIFF or JPEG first"
# Description, maker, model, software, date, artist, XMP, copyright, IPTC, EXIF, GPS. The rest is about the sensor.
_SAID = frozenset({270, 271, 272, 305, 306, 315, 700, 33432, 33723, 34665, 34853})
_CLIPPED = 0.001  # share of pixels that may be as bright as can be, where the exposure leaves room


def develop(
    stream: BinaryIO, maker: str, directory: Directory | None, label: str, max_pixels: int, limit: int | None
) -> Picture:
    """The photograph of a raw file, upright; ``directory`` is its first one, where it is a TIFF of some kind.

    Raises InputError, also where rawpy is missing, and OutOfMemoryError.
    """
    if not develops():
        raise InputError(f"{label}: {RAW_FILE.format(maker=maker, help=MISSING)}")
    import rawpy

    stream.seek(0)
    data = stream.read()
    try:
        with rawpy.imread(BytesIO(data)) as raw:
            width, height = raw.sizes.width, raw.sizes.height
            if width * height > max_pixels:
                raise InputError(f"{label}: {too_large((width, height), max_pixels)}")
            check_file(label, width, height, True, limit, len(data) // max(1, width * height) + 8)
            # sRGB is LibRaw's usual colour space; this is its curve.
            pixels = raw.postprocess(
                use_camera_wb=True, output_bps=16, gamma=(2.4, 12.92), auto_bright_thr=_CLIPPED
            )
            preview = _preview(raw)
    except rawpy.LibRawError as error:
        said = " ".join(str(error.args[0] if error.args else error).removeprefix("b'").rstrip("'").split())
        reason = f"which cannot be developed ({said}): develop it to TIFF or JPEG first"
        raise InputError(f"{label}: {RAW_FILE.format(maker=maker, help=reason)}") from error
    notices = []
    exif = xmp = None
    with Image.open(BytesIO(preview)) if preview else Image.new("RGB", (1, 1)) as image:
        try:
            if directory is not None:
                image = Image.new("RGB", (1, 1))
                image.format = "TIFF"
                directory = {tag: value for tag, value in directory.items() if tag in _SAID}
            found = read_metadata(image, stream, directory)
            exif, xmp = found.exif, found.xmp
        except Exception as error:  # the picture matters more
            notices.append(f"EXIF left out ({detail(error)})")
    if pixels.shape[2] == 1:  # a camera without colours
        pixels = np.repeat(pixels, 3, axis=2)
    return Picture(
        np.ascontiguousarray(pixels),
        exif=exif,
        xmp=xmp,
        format="TIFF",
        notices=tuple(one_line(line) for line in notices),
    )


def _preview(raw: Any) -> bytes | None:
    """The JPEG that the camera has made, whose EXIF is the photograph's."""
    import rawpy

    try:
        thumbnail = raw.extract_thumb()
    except (rawpy.LibRawError, rawpy.NotSupportedError):
        return None
    return bytes(thumbnail.data) if thumbnail.format == rawpy.ThumbFormat.JPEG else None
