"""OpenEXR pictures (OpenEXR's own reader, extra ``[exr]``): light in floats, as 16 bits of sRGB."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from stylecli.errors import InputError
from stylecli.media.formats import reads_exr
from stylecli.media.picture import Picture
from stylecli.media.ranges import stretched
from stylecli.media.reasons import detail, too_large
from stylecli.memory import check_file
from stylecli.paint.pixels import strips

_BYTES = 20  # for each pixel, beside the result: float32 with alpha, and a strip's worth of copies
_SRGB = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)
_CLOSE = 0.005  # of chromaticities


def read_exr(stream: BinaryIO, label: str, max_pixels: int, memory_limit: int | None) -> Picture:
    """The first part's picture: 0..1 of its light with sRGB's curve; what is brighter is clipped, with a notice.

    Raises InputError, also where the reader is missing, and OutOfMemoryError.
    """
    if not reads_exr():
        raise InputError(
            f"{label}: an OpenEXR picture: pip install 'stylecli[exr]' lets it be read; or export it as TIFF or PNG"
        )
    import OpenEXR

    try:
        stream.seek(0)
        header = OpenEXR.File(stream, header_only=True).header()
        width, height = _size(header)
        if width * height > max_pixels:
            raise InputError(f"{label}: {too_large((width, height), max_pixels)}")
        check_file(label, width, height, True, memory_limit, _BYTES)
        stream.seek(0)
        channels = {name: one.pixels for name, one in OpenEXR.File(stream).channels().items()}
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"{label}: damaged OpenEXR picture ({detail(error)})") from error
    light = next((channels[name] for name in ("RGBA", "RGB", "YA", "Y") if name in channels), None)
    if light is None or light.shape[:2] != (height, width):
        raise InputError(
            f"{label}: an OpenEXR picture without RGB or grey: its channels are {_named(channels)}"
        )
    alpha = channels.get("A", light[..., 3] if light.ndim == 3 and light.shape[2] == 4 else None)
    notices: list[str] = []
    pixels = _encoded(light, alpha, notices)
    if not _is_srgb(header):
        notices.append("its primaries are taken for those of sRGB")
    opaque = None if alpha is None else stretched(np.nan_to_num(alpha.astype(np.float32)), 0, 1)
    return Picture(pixels, alpha=opaque, format="EXR", notices=tuple(notices))


def _size(header: dict[str, Any]) -> tuple[int, int]:
    (left, top), (right, bottom) = header["dataWindow"]
    return int(right) - int(left) + 1, int(bottom) - int(top) + 1


def _named(channels: dict[str, Any]) -> str:
    shown = sorted(channels)[:6]
    return ", ".join(shown) + (", ..." if len(channels) > len(shown) else "")


def _is_srgb(header: dict[str, Any]) -> bool:
    said = header.get("chromaticities")
    return said is None or bool(np.allclose(np.ravel(said), _SRGB, atol=_CLOSE))


def _encoded(
    light: npt.NDArray[Any], alpha: npt.NDArray[Any] | None, notices: list[str]
) -> npt.NDArray[np.uint16]:
    """(H, W, 3) by sRGB's curve; ``light`` is (H, W) or (H, W, 3 or 4) and multiplied by alpha, as OpenEXR has it."""
    height, width = light.shape[:2]
    pixels = np.empty((height, width, 3), np.uint16)
    brightest, odd = 1.0, False
    for top, bottom in strips(height, width):
        part = light[top:bottom].astype(np.float32)
        part = np.repeat(part[..., None], 3, 2) if part.ndim == 2 else part[..., :3]
        if alpha is not None:
            share = alpha[top:bottom, :, None].astype(np.float32)
            part = np.divide(part, share, out=part, where=share > 0)
        odd |= not np.isfinite(part).all()
        part = np.nan_to_num(part, nan=0.0, posinf=1.0, neginf=0.0)
        brightest = max(brightest, float(part.max()))
        part = np.clip(part, 0, 1)
        curve = np.where(part <= 0.0031308, 12.92 * part, 1.055 * part ** np.float32(1 / 2.4) - 0.055)
        pixels[top:bottom] = np.rint(curve * 65535)
    if brightest > 1:
        notices.append(f"light up to {brightest:.4g} clipped to 1")
    if odd:
        notices.append("values that are no numbers taken as black")
    return pixels
