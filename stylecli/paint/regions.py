"""Masks: where a picture is painted, and which painting lies over which.

A mask is (H, W) of uint16, 65535 where all is painted. Pictures are mixed when they are finished, at full size and in
their own whole numbers: where a mask is empty the photograph stays to the bit, where it is full the painting does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from stylecli.errors import UsageError
from stylecli.paint.pixels import FloatArray, strips, to_image, to_whole

if TYPE_CHECKING:
    from PIL import Image

FULL = 65535
_NOISE = 3 * 257  # what lossy formats make of black, and of white
_LUMA = (299, 587, 114)  # thousandths (BT.601)

MaskArray = npt.NDArray[np.uint16]
Pixels = npt.NDArray[Any]  # (H, W, 3)
Paint = Callable[[Pixels], Pixels]


class PhotoMask(Protocol):
    """A mask made from the picture itself: its faces are spared, for one."""

    def of(self, photo: Pixels, seconds: float = 0.0) -> MaskArray: ...


class Mask(Protocol):
    """Where something is painted; ``at`` gives (H, W) for a picture of that size, in a film at a time in seconds."""

    def at(self, height: int, width: int, seconds: float = 0.0) -> MaskArray: ...


def mask_of(
    pixels: Pixels, alpha: npt.NDArray[Any] | None = None, *, invert: bool = False, lossy: bool = False
) -> MaskArray:
    """A picture (H, W, 3), uint8 or uint16, as a mask: its alpha where anything is transparent, else its lightness.

    ``lossy``: of a format whose black and white are nearly so.
    """
    if alpha is not None and alpha.min() < np.iinfo(alpha.dtype).max:
        mask = _to_words(alpha)
    else:
        height, width = pixels.shape[:2]
        mask = np.empty((height, width), np.uint16)
        for top, bottom in strips(height, width):
            words = _to_words(pixels[top:bottom]).astype(np.uint32)
            mask[top:bottom] = (words @ np.array(_LUMA, np.uint32) + 500) // 1000
    if lossy:
        stretched = (mask.astype(np.float32) - _NOISE) * np.float32(FULL / (FULL - 2 * _NOISE))
        mask = np.clip(np.rint(stretched), 0, FULL).astype(np.uint16)
    return FULL - mask if invert else mask


def _to_words(values: npt.NDArray[Any]) -> MaskArray:
    return values if values.dtype == np.uint16 else values.astype(np.uint16) * np.uint16(257)


def as_mask(given: Image.Image | npt.NDArray[Any]) -> MaskArray:
    """A mask from Python: a Pillow picture, or an array (H, W) or (H, W, 3) of uint8, uint16, bool or floats in 0..1.
    Raises UsageError for anything else."""
    if not isinstance(given, np.ndarray):
        alpha = np.asarray(given.convert("RGBA"))[..., 3] if given.has_transparency_data else None
        wide = given.mode.startswith("I;16")
        given = np.asarray(given if wide else given.convert("RGB"))
    else:
        alpha = None
    if given.dtype == bool or given.dtype.kind == "f":
        given = to_whole(given.astype(np.float32), np.uint16)
    if (
        given.dtype not in (np.uint8, np.uint16)
        or given.ndim not in (2, 3)
        or given.shape[2:] not in ((), (3,))
    ):
        raise UsageError(
            f"a mask is (H, W) or (H, W, 3), uint8, uint16 or floats in 0..1, not {given.shape} of {given.dtype}"
        )
    return _to_words(given) if given.ndim == 2 else mask_of(given, alpha)


def fitted(mask: MaskArray, height: int, width: int, feather: float = 0.0) -> MaskArray:
    """A mask in a picture's size; its edges are softened over ``feather`` pixels to either side."""
    import cv2

    if mask.shape != (height, width):
        shrinks = height * width < mask.size
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        mask = np.asarray(cv2.resize(mask, (width, height), interpolation=how), np.uint16)
    if feather > 0:
        side = 2 * max(1, round(feather)) + 1
        blurred = cv2.GaussianBlur(mask, (side, side), feather / 2, borderType=cv2.BORDER_REPLICATE)
        mask = np.asarray(blurred, np.uint16)
    return mask


def lay(above: Pixels, mask: MaskArray, below: Pixels) -> Pixels:
    """``above`` over ``below`` where ``mask`` (H, W) says so; all pictures (H, W, 3) of one kind, which comes back."""
    if not mask.any():
        return below
    if mask.min() == FULL:
        return above
    result = below.copy()
    for top, bottom in strips(*mask.shape):
        part = mask[top:bottom]
        if not part.any():
            continue
        under, over = below[top:bottom], above[top:bottom]
        share = part[..., None] * np.float32(1 / FULL)
        mixed = (over.astype(np.float32) - under) * share + under
        if result.dtype.kind == "u":  # rounding brings back whole numbers under an empty and a full mask
            result[top:bottom] = np.rint(mixed)
        else:
            result[top:bottom] = np.where(part[..., None] == FULL, over, mixed)
    return result


def lay_like(painted: Any, mask: MaskArray, photo: Any) -> Any:
    """``painted`` over ``photo`` where ``mask``, of any size, says so: both are Pillow pictures, arrays (H, W, 3) or
    tensors (..., 3, H, W)."""
    if isinstance(painted, np.ndarray):
        return lay(painted, fitted(mask, *painted.shape[:2]), photo)
    if hasattr(painted, "lerp"):
        import torch

        share = torch.from_numpy(fitted(mask, *painted.shape[-2:]) * np.float32(1 / FULL))
        return photo.lerp(painted, share.to(painted.device, painted.dtype))
    below = np.asarray(photo.convert("RGB"))
    return to_image(lay(np.asarray(painted), fitted(mask, *below.shape[:2]), below))


@dataclass(frozen=True)
class Regions:
    """What is painted where: a mask for each painting (None: everywhere), the lowest first, one for all, and one that
    each picture makes."""

    layers: Sequence[Mask | None] = (None,)
    whole: Mask | None = None
    own: PhotoMask | None = None

    def paint(self, painters: Sequence[Paint], photo: Pixels, seconds: float = 0.0) -> Pixels:
        """``photo`` (H, W, 3) with each painter's painting in its place; what no mask shows is not painted."""
        height, width = photo.shape[:2]
        whole = self._whole(photo, seconds)
        if whole is not None and not whole.any():
            return photo
        result = photo
        for mask, paint in zip(self.layers, painters, strict=True):
            where = None if mask is None else mask.at(height, width, seconds)
            if where is None:
                result = paint(photo)
            elif where.any():
                result = lay(paint(photo), where, result)
        return result if whole is None else lay(result, whole, photo)

    def _whole(self, photo: Pixels, seconds: float = 0.0) -> MaskArray | None:
        """Where anything is painted; None: everywhere."""
        named = None if self.whole is None else self.whole.at(photo.shape[0], photo.shape[1], seconds)
        if self.own is None:
            return named
        made = self.own.of(photo, seconds)
        if named is None:
            return made
        return np.asarray((named.astype(np.uint32) * made + FULL // 2) // FULL, np.uint16)

    def kept(self, photo: Pixels, keep: float) -> FloatArray:
        """How much of the photograph is left in each place, (H, W), if a painting leaves ``keep`` of it."""
        size = photo.shape[:2]
        left = np.ones(size, np.float32)
        for mask in self.layers:
            share = np.float32(1) if mask is None else mask.at(*size) * np.float32(1 / FULL)
            left += (np.float32(keep) - left) * share
        whole = self._whole(photo)
        if whole is not None:
            left += (1 - left) * (1 - whole * np.float32(1 / FULL))
        return left
