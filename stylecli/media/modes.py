"""Every pixel layout that Pillow decodes, turned into sRGB of 8 or 16 bits and an alpha plane."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from stylecli.media.colour import (
    ProfileError,
    cmyk_to_srgb,
    grey_curve,
    lab_to_srgb,
    profile_mode,
    rgb_profile,
)
from stylecli.media.picture import ByteArray, WholeArray, WordArray
from stylecli.media.ranges import stretched, words_from_floats

_WORD = 65535
# 16-bit pictures darker than this (below 4 of 255) show nothing: instruments with few bits write them.
_INVISIBLE = 1023


class Colours(NamedTuple):
    """What a file's numbers mean."""

    pixels: WholeArray  # (H, W, 3), sRGB
    alpha: WholeArray | None = None  # (H, W)
    icc: bytes | None = None  # the RGB profile to embed again
    own: WholeArray | None = None  # (H, W, 3), the numbers themselves where the profile makes pixels others


def to_srgb(
    image: Image.Image,
    icc: bytes | None,
    notices: list[str],
    *,
    wide: WholeArray | None = None,
    full_scale: int = 65535,
    inverted: bool = False,
) -> Colours:
    """Any picture as sRGB, with 16 bits where the file has more than 8.

    ``image`` is loaded and upright; ``wide`` are its samples (H, W, 3 or 4) with 16 bits, of which it holds 8.
    ``full_scale`` is the white of 16-bit greys and ``inverted`` says that it is black instead. What was guessed or left
    out is added to ``notices``.
    """
    alpha: WholeArray | None = None
    values: WholeArray
    if image.mode[0] in "IF":  # I, I;16 in every byte order, F
        grey, alpha = _wide_grey(image, notices, full_scale, inverted)
        if icc is None or not _is_for_rgb(icc):
            return Colours(_from_grey(grey, icc, notices), alpha)
        values = np.repeat(grey[..., None], 3, axis=2)
        image = Image.new("RGB", (1, 1))  # of its mode alone something is wanted below
    elif wide is not None:
        values, alpha = _wide_parts(wide, image)
        image = Image.new("RGB", (1, 1))
    else:
        image = _plain(image)
        if image.mode in ("LA", "RGBA"):
            alpha = np.array(image.getchannel("A"))
            image = image.convert(image.mode[:-1])
        if image.mode == "LAB":
            return Colours(_values(lab_to_srgb().apply(image)), alpha)
        values = _values(image)

    if icc is not None:
        try:
            described = profile_mode(icc)
            if image.mode == "L" and described == "RGB":  # a grey picture in an RGB space
                image = image.convert("RGB")
                values = _values(image)
            if described != image.mode:
                raise ProfileError(f"it is for {described}, the picture is {image.mode}")
            if image.mode == "L":
                return Colours(_from_grey(values, icc, notices), alpha)
            if image.mode == "CMYK":
                return Colours(_values(cmyk_to_srgb(icc).apply(image)), alpha)
            profile = rgb_profile(icc)
            pixels = profile.to_srgb(values)
            if not profile.two_way:
                notices.append("colour profile works one way only: the output is sRGB")
                return Colours(pixels, alpha)
            return Colours(pixels, alpha, icc, None if pixels is values else values)
        except ProfileError as error:
            notices.append(f"colour profile left out: {error}")
    return Colours(values if image.mode == "RGB" else _values(image.convert("RGB")), alpha)


def _is_for_rgb(icc: bytes) -> bool:
    try:
        return profile_mode(icc) == "RGB"
    except ProfileError:
        return False


def _wide_parts(wide: WholeArray, image: Image.Image) -> tuple[WholeArray, WholeArray | None]:
    """Colours and alpha of samples with 16 bits."""
    colours = np.ascontiguousarray(wide[..., :3])
    if wide.shape[2] == 4:
        return colours, np.ascontiguousarray(wide[..., 3])
    key = image.info.get("transparency")
    if isinstance(key, tuple) and len(key) == 3:  # the one colour that is transparent
        return colours, np.where((colours == np.array(key)).all(-1), 0, 65535).astype(np.uint16)
    return colours, None


def _plain(image: Image.Image) -> Image.Image:
    """The same picture as L, LA, RGB, RGBA, CMYK or LAB."""
    mode = image.mode
    if mode in ("L", "RGB") and "transparency" in image.info:
        key = image.info["transparency"]
        if isinstance(key, tuple) and max(key) > 255:  # a 16-bit PNG, whose pixels Pillow gives in 8 bits
            image.info["transparency"] = tuple(value >> 8 for value in key)
        return image.convert(mode + "A")
    if mode == "1":
        return image.convert("LA" if "transparency" in image.info else "L")
    if mode in ("P", "PA", "RGBa"):
        return image.convert("RGBA" if mode != "P" or image.has_transparency_data else "RGB")
    if mode == "La":
        return image.convert("LA")
    if mode in ("L", "LA", "RGB", "RGBA", "CMYK", "LAB"):
        return image
    return image.convert("RGB")  # YCbCr, HSV, RGBX


def _values(image: Image.Image) -> ByteArray:
    """The bytes of an 8-bit image, copied in strips: Pillow's own way needs room for them twice."""
    rows = max(1, (1 << 22) // image.width)
    bands = len(image.getbands())
    shape = (image.height, image.width, bands) if bands > 1 else (image.height, image.width)
    values = np.empty(shape, np.uint8)
    for top in range(0, image.height, rows):
        bottom = min(image.height, top + rows)
        values[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return values


def _from_grey(grey: WholeArray, icc: bytes | None, notices: list[str]) -> WholeArray:
    """(H, W) values, through their grey profile if there is one, to (H, W, 3)."""
    if icc is not None:
        try:
            if profile_mode(icc) == "L":
                curve = grey_curve(icc)
                white = np.iinfo(grey.dtype).max
                table = curve[:: (len(curve) - 1) // white]  # all 65536 values, or those of 8 bits
                grey = np.rint(table * white).astype(grey.dtype)[grey]
        except ProfileError as error:
            notices.append(f"colour profile left out: {error}")
    return np.repeat(grey[..., None], 3, axis=2)


def _wide_grey(
    image: Image.Image, notices: list[str], full_scale: int, inverted: bool
) -> tuple[WordArray, ByteArray | None]:
    """Greys of 16 or 32 bits or floats, as (H, W) of 16 bits, with the alpha of a transparent grey."""
    values = np.asarray(image)  # (H, W): uint16 of either byte order, int32 or float32
    key = image.info.get("transparency")
    alpha = np.where(values == key, 0, 255).astype(np.uint8) if isinstance(key, int) else None
    grey = _scaled(values, image, notices, full_scale)
    return (np.uint16(_WORD) - grey if inverted else grey), alpha


def _scaled(values: npt.NDArray[Any], image: Image.Image, notices: list[str], full_scale: int) -> WordArray:
    if image.mode == "F":
        return words_from_floats(values, notices)
    low, high = float(np.min(values)), float(np.max(values))
    if image.mode.startswith("I;16"):
        if high - low >= 16 and high <= _INVISIBLE * full_scale / _WORD:
            notices.append(f"16-bit values {low:.0f} to {high:.0f} of {full_scale} stretched to be visible")
            return stretched(values, low, high)
        return values.astype(np.uint16) if full_scale == _WORD else stretched(values, 0, full_scale)
    if low >= 0:
        if high <= 255 and image.format != "PPM":  # Pillow scales a wide PGM to 65535 itself
            return stretched(values, 0, 255)
        if high <= _WORD:
            return values.astype(np.uint16)
    notices.append(f"values {low:.6g} to {high:.6g} stretched to black and white")
    return stretched(values, low, high)
