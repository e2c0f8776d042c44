"""Embedded colour profiles to sRGB and back, by LittleCMS.

The networks see sRGB only. RGB profiles are converted both ways, so that the output carries the input's
own profile; grey, CMYK and Lab inputs end as sRGB. Everything is cached by the profile's bytes, because
the pictures of a folder mostly share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from stylecli.media.icc import MatrixProfile, grey_table, matrix_profile
from stylecli.media.picture import ByteArray, FloatArray, WholeArray, WordArray
from stylecli.paint.pixels import strips

# The profile's own data colour space, as ICC writes it, in terms of Pillow's modes.
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}
_SAME_WITHIN = 2  # of 255: profiles that differ less from sRGB are sRGB in another writing


class ProfileError(Exception):
    """The profile is damaged, or does not fit the picture it is embedded in."""


@dataclass(frozen=True)
class RgbProfile:
    """An RGB profile next to sRGB. Pixels are (H, W, 3), uint8 or uint16, and come back in kind."""

    is_srgb: bool
    _to: ImageCms.ImageCmsTransform | None = None
    _from: ImageCms.ImageCmsTransform | None = None
    _exact: MatrixProfile | None = None

    @property
    def two_way(self) -> bool:
        """Whether colours can be converted back."""
        return self.is_srgb or self._from is not None

    def to_srgb(self, pixels: WholeArray) -> WholeArray:
        """The same array where the profile *is* sRGB."""
        if self.is_srgb or self._to is None:
            return pixels
        if pixels.dtype == np.uint8:
            return _apply(self._to, pixels)
        return apply_wide(self._to, pixels) if self._exact is None else self._exact.to_srgb(pixels)

    def from_srgb(self, pixels: WholeArray) -> WholeArray:
        """Back into the profile's space; only where it works ``two_way``."""
        if self.is_srgb or self._from is None:
            return pixels
        if pixels.dtype == np.uint8:
            return _apply(self._from, pixels)
        return apply_wide(self._from, pixels) if self._exact is None else self._exact.from_srgb(pixels)


def _apply(transform: ImageCms.ImageCmsTransform, pixels: ByteArray) -> ByteArray:
    """In strips: Pillow's images are copies."""
    result = np.empty_like(pixels)
    for top, bottom in strips(*pixels.shape[:2]):
        result[top:bottom] = np.asarray(transform.apply(Image.fromarray(pixels[top:bottom])))
    return result


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _open(icc: bytes) -> ImageCms.ImageCmsProfile:
    try:
        return ImageCms.ImageCmsProfile(BytesIO(icc))
    except Exception as error:  # OSError, PyCMSError, or whatever the parser stumbled over
        raise ProfileError("it is damaged") from error


def _transform(
    source: ImageCms.ImageCmsProfile,
    target: ImageCms.ImageCmsProfile,
    source_mode: str,
    intent: ImageCms.Intent = ImageCms.Intent.RELATIVE_COLORIMETRIC,
) -> ImageCms.ImageCmsTransform:
    try:
        return ImageCms.ImageCmsTransform(
            source, target, source_mode, "RGB", intent, flags=ImageCms.Flags.BLACKPOINTCOMPENSATION
        )
    except Exception as error:
        raise ProfileError("it cannot be converted to sRGB") from error


@lru_cache(maxsize=16)
def profile_mode(icc: bytes) -> str:
    """The Pillow mode whose values this profile describes: ``RGB``, ``L``, ``CMYK`` or ``LAB``.

    Raises ``ProfileError`` when the profile is damaged or of another kind.
    """
    profile = _open(icc).profile
    try:
        space = profile.xcolor_space.strip()
    except UnicodeDecodeError as error:
        raise ProfileError("it is damaged") from error
    if space not in _SPACES:
        raise ProfileError(f"it describes {space}, not a kind of picture")
    return _SPACES[space]


@lru_cache(maxsize=8)
def rgb_profile(icc: bytes) -> RgbProfile:
    """Conversions by an RGB profile.

    Raises ``ProfileError``.
    """
    profile = _open(icc)
    to_srgb = _transform(profile, _srgb(), "RGB")
    # Names lie ("sRGB" in a linear profile, "c2" in a true one): compare what the profile does.
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    seen = np.asarray(to_srgb.apply(Image.fromarray(grid)))
    if np.abs(seen.astype(np.int16) - grid).max() <= _SAME_WITHIN:
        return RgbProfile(is_srgb=True)
    try:
        from_srgb = _transform(_srgb(), profile, "RGB")
    except ProfileError:
        from_srgb = None
    return RgbProfile(False, to_srgb, from_srgb, matrix_profile(icc))


@lru_cache(maxsize=8)
def cmyk_to_srgb(icc: bytes) -> ImageCms.ImageCmsTransform:
    """Transform from a CMYK profile to sRGB, perceptual: ink gamuts need compressing, not clipping."""
    return _transform(_open(icc), _srgb(), "CMYK", ImageCms.Intent.PERCEPTUAL)


@lru_cache(maxsize=1)
def lab_to_srgb() -> ImageCms.ImageCmsTransform:
    """Transform from CIE L*a*b* (D50) to sRGB."""
    return _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), _srgb(), "LAB")


@lru_cache(maxsize=4)
def grey_curve(icc: bytes) -> FloatArray:
    """sRGB values 0..1, shape (65536,), of all 16-bit numbers from black to white under a grey profile.

    Raises ``ProfileError``.
    """
    exact = grey_table(icc)
    if exact is not None:
        return exact
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None, :])  # (1, 256)
    seen = np.asarray(_transform(_open(icc), _srgb(), "L").apply(ramp), dtype=np.float32)[0, :, 1] / 255
    return np.interp(np.linspace(0, 255, 65536), np.arange(256), seen).astype(np.float32)


_NODES = 52  # to a side of the table: all multiples of 5, so that 8 bits hold every node exactly


def apply_wide(transform: ImageCms.ImageCmsTransform, pixels: WordArray) -> WordArray:
    """An RGB transform of 16-bit pixels (H, W, 3), for profiles that are tables themselves.

    Pillow's transforms have 8 bits. They are asked for a table of 52 x 52 x 52 colours, and what is between these is
    interpolated: colours are off by no more than half a step of 8 bits, and a ramp stays a ramp.
    """
    steps = np.arange(_NODES, dtype=np.uint8) * np.uint8(255 // (_NODES - 1))
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(1, -1, 3)
    table = np.asarray(transform.apply(Image.fromarray(grid)), np.float32)[0] * np.float32(257)  # (N^3, 3)
    result = np.empty_like(pixels)
    rows = max(1, (1 << 18) // pixels.shape[1])
    for top in range(0, pixels.shape[0], rows):
        result[top : top + rows] = _interpolated(table, pixels[top : top + rows])
    return result


def _interpolated(table: FloatArray, pixels: WordArray) -> WordArray:
    """Trilinear in ``table`` (N^3, 3), for pixels (n, W, 3)."""
    at = pixels * np.float32((_NODES - 1) / 65535)
    low = np.minimum(at.astype(np.int32), _NODES - 2)
    share = at - low
    index = (low * np.array([_NODES * _NODES, _NODES, 1], np.int32)).sum(-1)
    total = np.zeros(pixels.shape, np.float32)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, share, 1 - share), axis=-1, keepdims=True)
        total += weight * table[index + (corner[0] * _NODES + corner[1]) * _NODES + corner[2]]
    return np.clip(np.rint(total), 0, 65535).astype(np.uint16)
