"""A photograph through the network: at its working size, as a whole or in strips, and back to full size."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stylecli.devices import free_on
from stylecli.errors import is_out_of_memory
from stylecli.memory import free_memory, give_back
from stylecli.ops import enlarge
from stylecli.paint.memory import TilePlan, plan_tiles
from stylecli.paint.photo import Canvas, Framed, Photo, check_numbers, keep_color, strips_on
from stylecli.paint.size import enlarge_with_detail, packed_for_enlarging, resize
from stylecli.tiling import Grid, LazyFeatureMap, sweep

if TYPE_CHECKING:
    from stylecli.paint.stylizer import Stylizer

log = logging.getLogger(__name__)

_FALLBACK_ROWS = 256  # of strips, when memory turned out not to suffice for a whole picture


def paint_at(
    stylizer: Stylizer, photo: Photo, size: tuple[int, int], strength: float, seed: int
) -> tuple[Photo, Tensor | LazyFeatureMap]:
    """The photograph at the working size and its painting, as a whole or in strips: what memory allows."""
    plan = _plan(stylizer, size, photo.nbytes)
    if (plan.height, plan.width) != size:
        log.warning(
            f"painted at {plan.width} × {plan.height} instead of {size[1]} × {size[0]}, which "
            "makes strokes larger: memory allows no more (--memory-limit)"
        )
        size = plan.height, plan.width
    small = photo if size == (photo.height, photo.width) else Photo(resize(photo, size, stylizer.device))
    if plan.rows is None:
        try:
            return small, _forward(stylizer, small, strength, seed)
        except Exception as error:
            if stylizer.tile == 0 or stylizer.descriptor.memory is None or not is_out_of_memory(error):
                raise
            error.__traceback__ = None  # it keeps what was computed alive
            give_back()
            log.info("not enough memory to paint at once: painting in strips")
    return small, _forward_in_strips(stylizer, small, strength, seed, plan.rows or _FALLBACK_ROWS)


def _plan(stylizer: Stylizer, size: tuple[int, int], canvas_bytes: int) -> TilePlan:
    on_card = free_on(stylizer.device)
    room = free_memory(stylizer.memory_limit) - canvas_bytes
    return plan_tiles(*size, stylizer.descriptor.memory, stylizer.tile, room, on_card)


def _forward(stylizer: Stylizer, small: Photo, strength: float, seed: int) -> Tensor:
    """Paint at the working size, with a margin around it that is cut off again."""
    framed = Framed(small, stylizer.descriptor.margin)
    content = framed.rows(0, framed.height).to(stylizer.device, stylizer.dtype)
    network = _network(stylizer, strength, seed)
    if content.device.type == "cuda":
        from stylecli.paint import cuda_graphs

        painted = cuda_graphs.painted(network, content, (*_settings(stylizer), strength, seed))
    else:
        painted = network(content)
    return framed.without(painted).float().clamp(0, 1)


def _forward_in_strips(
    stylizer: Stylizer, small: Photo, strength: float, seed: int, rows: int
) -> LazyFeatureMap:
    """The same, not yet computed."""
    framed = Framed(small, stylizer.descriptor.margin)
    grid = Grid(framed.height, rows, stylizer.device)
    shape = (small.batch, 3, framed.height, framed.width)
    source = LazyFeatureMap(
        grid, shape, stylizer.dtype, read=lambda a, b: framed.rows(a, b).to(stylizer.device, stylizer.dtype)
    )
    painted: LazyFeatureMap = framed.without(_network(stylizer, strength, seed)(source))
    return painted.float().clamp(0, 1)  # type: ignore[no-any-return]


def _network(stylizer: Stylizer, strength: float, seed: int) -> Callable[[Any], Any]:
    """What paints pictures (B, 3, H, W), or strips of them."""
    assert stylizer.style is not None
    style = _sent(_numbers(stylizer), stylizer.device, stylizer.dtype)
    more = {"detail": stylizer.style.detail} if stylizer.style.detail else {}  # not every network offers it
    return lambda content: stylizer.network.paint(content, style, strength, seed, **more)  # type: ignore[operator]


@lru_cache(maxsize=16)
def _sent(numbers: bytes, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A style's vector where it is painted: the very same tensor again for the same style, by which networks know that
    they have seen it."""
    with torch.inference_mode(False):
        vector = torch.frombuffer(bytearray(numbers), dtype=torch.float32)[None]
        return vector.to(device, dtype, copy=True)


def _settings(stylizer: Stylizer) -> tuple[Hashable, ...]:
    """What a painting depends on besides its picture, strength and seed."""
    assert stylizer.style is not None
    return stylizer.network, _numbers(stylizer), stylizer.style.detail


def _numbers(stylizer: Stylizer) -> bytes:
    """The style's vector."""
    assert stylizer.style is not None
    return stylizer.style.vector.float().numpy().tobytes()


def fill(
    canvas: Canvas,
    painted: Tensor | LazyFeatureMap,
    small: Photo,
    photo: Photo,
    device: torch.device,
    keeps_colour: bool,
) -> None:
    """Fill the canvas with a painting of any size, brought to the photograph's. ``keeps_colour``: only lightness comes
    from the painting."""
    size = (photo.height, photo.width)

    def put(top: int, bottom: int, rows: Tensor) -> None:
        canvas.put(top, keep_color(rows, photo.rows(top, bottom).to(rows.device)) if keeps_colour else rows)

    if isinstance(painted, LazyFeatureMap) and painted.shape[2:] == size:
        for top, bottom, (rows,) in sweep(painted):
            put(top, bottom, rows)
        return
    whole = painted.whole() if isinstance(painted, LazyFeatureMap) else painted
    if small.height > photo.height or small.width > photo.width:  # a tiny picture, enlarged to be painted
        whole = resize(Photo(whole), size, device)
    if whole.shape[2:] != size and photo.array is not None and enlarge.usable(whole):
        check_numbers(whole)
        enlarge.enlarge(packed_for_enlarging(whole, small), photo.array, canvas.array, keeps_colour)
        return
    for top, bottom in strips_on(device, *size, photo.batch):
        if whole.shape[2:] == size:
            put(top, bottom, whole[:, :, top:bottom])
        else:
            rows = photo.rows(top, bottom).to(device)
            put(top, bottom, enlarge_with_detail(whole, small, rows, top, photo.height))
