"""Pictures row by row: any accepted kind as floats, and a result of the same kind that is filled strip by strip.

A photograph of 100 megapixels has 0.3 GB as it lies in its file and 1.2 GB as floats, and a painter needs more than
one copy. So whole pictures stay as they came, and only the rows at hand are floats.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from stylecli.devices import free_on, upload
from stylecli.errors import InputError, UsageError
from stylecli.ops.luma import luma
from stylecli.paint.pixels import STRIP_PIXELS, rows_to_whole, strips, to_tensor

_STRIP_ON_CARD, _STRIP_UNTOLD = 1 << 24, 1 << 21  # pixels; where the card does not tell what is free
_BYTES_OF_STRIP = 80  # that one of its pixels takes on its way to full size


def strips_on(
    device: torch.device | None, height: int, width: int, batch: int = 1
) -> Iterator[tuple[int, int]]:
    """Ranges of rows in which pictures of full size, ``batch`` at once, are gone through on ``device``; None: on the
    CPU. A card waits for Python before each of the hundred steps of a strip: there they are large, but take an eighth
    of its free memory at most."""
    if device is None or device.type == "cpu":
        return strips(height, width)
    room = free_on(device)
    most = _STRIP_UNTOLD if room is None else min(_STRIP_ON_CARD, room // 8 // _BYTES_OF_STRIP)
    return strips(height, width, max(STRIP_PIXELS, most // batch))


class Photo:
    """A picture to paint, as rows of floats. Takes a Pillow picture, an array (H, W, 3) of uint8, uint16 or floats in
    0..1, or a tensor (3, H, W) or (B, 3, H, W) of floats in 0..1; raises UsageError for another shape.

    Attributes:
        batch, height, width: its size. nbytes: what its numbers take.
    """

    def __init__(self, image: Image.Image | npt.NDArray[Any] | Tensor):
        self._given = image
        data = np.asarray(image.convert("RGB")) if isinstance(image, Image.Image) else image
        if isinstance(data, np.ndarray):
            if data.ndim != 3 or data.shape[2] != 3:
                raise UsageError(f"a picture as an array has the shape (H, W, 3), not {data.shape}")
            self.batch, self.height, self.width = 1, data.shape[0], data.shape[1]
        else:
            if data.ndim not in (3, 4) or data.shape[-3] != 3:
                shape = tuple(data.shape)
                raise UsageError(
                    f"a picture as a tensor has the shape (3, H, W) or (B, 3, H, W), not {shape}"
                )
            data = data if data.ndim == 4 else data[None]
            self.batch, self.height, self.width = data.shape[0], data.shape[2], data.shape[3]
        self._data: Any = data  # an array or a tensor
        self.nbytes: int = data.nbytes
        self._sent: Tensor | None = None

    def on(self, device: torch.device) -> Photo:
        """The same with its bytes on ``device``, which makes floats of them there: sent once instead of whenever rows
        are wanted, and a quarter of the size. Itself where it has no bytes, or they would take much of the memory."""
        room = free_on(device)
        if (
            not isinstance(self._data, np.ndarray)
            or self._data.dtype != np.uint8
            or (room is not None and self.nbytes > room // 8)
        ):
            return self
        sent = copy(self)
        # (torch warns of arrays that nobody may write to, such as Pillow's.)
        data = np.require(self._data, requirements=["C", "W"])
        sent._sent = upload(torch.from_numpy(data), device)  # (H, W, 3)
        return sent

    @property
    def array(self) -> npt.NDArray[Any] | None:
        """(H, W, 3), where it came as one of bytes or float32 without gaps."""
        data = self._data
        fits = (
            isinstance(data, np.ndarray) and data.flags.c_contiguous and data.dtype in (np.uint8, np.float32)
        )
        return data if fits else None

    def rows(self, top: int, bottom: int) -> Tensor:
        """(B, 3, bottom - top, W), float32 in 0..1."""
        return self._floats(slice(top, bottom), None)

    def picked(self, rows: list[int], columns: list[int]) -> Tensor:
        """(B, 3, len(rows), len(columns)), the same of any rows and columns."""
        return self._floats(rows, columns)

    def _floats(self, rows: Any, columns: list[int] | None) -> Tensor:
        if isinstance(self._data, Tensor):
            found = self._data[:, :, rows]
            return (found if columns is None else found[..., columns]).float()
        if self._sent is not None:
            sent = self._sent[rows]
            return to_tensor(sent if columns is None else sent[:, columns])[None]
        part = self._data[rows]
        part = np.array(part if columns is None else part.take(columns, axis=1), order="C")
        return to_tensor(part)[None]

    def all(self) -> Tensor:
        """(B, 3, H, W), float32 in 0..1."""
        return self.rows(0, self.height)


def _mirrored(at: int, length: int) -> int:
    """A place before the first or after the last one, mirrored at it."""
    return length - 1 - abs(length - 1 - abs(at))


class Framed:
    """A photograph with a mirrored margin around it."""

    def __init__(self, photo: Photo, margin: int):
        self._photo = photo
        self.top, self.left = min(margin, photo.height - 1), min(margin, photo.width - 1)
        self.height, self.width = photo.height + 2 * self.top, photo.width + 2 * self.left

    def rows(self, top: int, bottom: int) -> Tensor:
        """(B, 3, bottom - top, width), rows counted from the margin's first."""
        rows = [_mirrored(y - self.top, self._photo.height) for y in range(top, bottom)]
        columns = [_mirrored(x - self.left, self._photo.width) for x in range(self.width)]
        return self._photo.picked(rows, columns)

    def without(self, framed: Any) -> Any:
        """(B, C, height, width) with the margin cut off."""
        top, left = self.top, self.left
        return framed[..., top : top + self._photo.height, left : left + self._photo.width]


def check_numbers(painted: Tensor) -> None:
    """Raises InputError for values that are no numbers."""
    if not painted.sum(dtype=torch.float32).isfinite():  # one pass; a single NaN or infinity reaches the sum
        raise InputError(
            "the network gave values that are no numbers: its weights are damaged, or --dtype fp32 is needed"
        )


class Canvas:
    """A result of the same kind and size as a photograph: ``put`` strips into it, then take ``done()``.

    Floats become the nearest of 256 values, or are dithered to 65536.
    """

    def __init__(self, photo: Photo):
        self._given, data = photo._given, photo._data
        self._data: Any = (
            torch.empty_like(data) if isinstance(data, Tensor) else np.empty_like(data, order="C")
        )

    @property
    def array(self) -> npt.NDArray[Any]:
        """(H, W, 3), to be filled by others; where the photograph is an ``array``."""
        assert isinstance(self._data, np.ndarray)
        return self._data

    def put(self, top: int, rows: Tensor) -> None:
        """Rows (B, 3, n, W), any device, from row ``top`` on; clipped to 0..1 where they become whole numbers.

        Raises InputError for values that are no numbers: they would be painted black.
        """
        bottom = top + rows.shape[2]
        check_numbers(rows)
        if isinstance(self._data, Tensor):
            self._data[:, :, top:bottom] = rows.to(self._data.device)
            return
        whole = rows_to_whole(rows, self._data.dtype, top)
        if isinstance(whole, Tensor):  # copying is quicker in torch, from a card above all
            torch.from_numpy(self._data[top:bottom]).copy_(whole)
        else:
            self._data[top:bottom] = whole

    def done(self) -> Any:
        if isinstance(self._given, Image.Image):
            return Image.fromarray(self._data)
        if isinstance(self._data, Tensor) and isinstance(self._given, Tensor) and self._given.ndim == 3:
            return self._data[0]
        return self._data


def keep_color(painted: Tensor, photo: Tensor) -> Tensor:
    """Lightness of the painting with the photograph's colour: Y of one, Cb and Cr of the other (BT.601)."""
    return (photo + luma(painted - photo)).clamp(0, 1)
