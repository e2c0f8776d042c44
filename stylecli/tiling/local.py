"""Operations that see a bounded neighbourhood: which rows each needs for its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylecli.ops.overridable import (
    adain,
    bounded,
    conv3x3,
    depthwise3x3,
    enlarged_conv3x3,
    gated,
    materialize,
    squared_relu,
)
from stylecli.tiling.lazy_map import HANDLERS, Handler, LazyFeatureMap, Range


def handles(*functions: Any) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(functions, handler))
        return handler

    return register


def _outcome(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What ``func`` returns, without numbers: shapes and types alone."""
    return func(*_replaced(args, _without_numbers), **{k: _without_numbers(v) for k, v in kwargs.items()})


def _without_numbers(x: Any) -> Any:
    if isinstance(x, LazyFeatureMap):
        return torch.empty(x.shape, dtype=x.dtype, device="meta")
    return x.to("meta") if isinstance(x, Tensor) else x


def _replaced(args: Sequence[Any], by: Callable[[Any], Any]) -> list[Any]:
    """Arguments with every tensor exchanged, those in lists too."""
    return [_replaced(x, by) if isinstance(x, list | tuple) else by(x) for x in args]


def _maps(args: Sequence[Any]) -> list[LazyFeatureMap]:
    found: list[LazyFeatureMap] = []
    for x in args:
        found += [x] if isinstance(x, LazyFeatureMap) else _maps(x) if isinstance(x, list | tuple) else []
    return found


def by_rows(
    func: Any, *args: Any, axis: int | None = None, pick: int | None = None, **kwargs: Any
) -> LazyFeatureMap:
    """``func`` where every row of the result depends on the same row of the arguments alone.

    ``axis`` is that of the result's rows, the arguments' own by default. Of several results, take number ``pick``.
    """
    maps = _maps(args)
    first = maps[0]
    result = _outcome(func, args, kwargs)
    result = result if pick is None else result[pick]

    def run(inputs: list[Tensor], ranges: list[Range], top: int, bottom: int) -> Tensor:
        given = iter(inputs)

        def strip(x: Any) -> Any:
            if isinstance(x, LazyFeatureMap):
                return next(given)
            if isinstance(x, Tensor):  # weights, which have no rows, and noise, which does
                at = first.axis - first.ndim + x.ndim
                if at >= 0 and x.shape[at] == first.height > 1:
                    return x.narrow(at, top, bottom - top)
            return x

        y = func(*_replaced(args, strip), **kwargs)
        return y if pick is None else y[pick]

    return LazyFeatureMap(
        first.grid,
        result.shape,
        result.dtype,
        axis=first.axis if axis is None else axis,
        parents=maps,
        needs=lambda top, bottom: [(top, bottom)] * len(maps),
        run=run,
    )


@handles(
    *(F.leaky_relu, F.relu, F.silu, F.linear, F.layer_norm, adain, gated, squared_relu, bounded),
    *(
        torch.add,
        torch.sub,
        torch.mul,
        torch.addcmul,
        torch.lerp,
        torch.sigmoid,
        torch.tanh,
        torch.square,
        torch.cat,
    ),
    *(Tensor.add, Tensor.sub, Tensor.mul, Tensor.__add__, Tensor.__radd__, Tensor.__mul__, Tensor.__rmul__),
    *(Tensor.clamp, Tensor.float, Tensor.to, Tensor.square, Tensor.unflatten, Tensor.contiguous),
)
def _each_row(func: Any, *args: Any, **kwargs: Any) -> LazyFeatureMap:
    return by_rows(func, *args, **kwargs)


@handles(Tensor.permute)
def _permute(func: Any, x: LazyFeatureMap, *dims: int) -> LazyFeatureMap:
    return by_rows(func, x, *dims, axis=dims.index(x.axis))


@handles(Tensor.chunk, Tensor.split)
def _parts(func: Any, x: LazyFeatureMap, parts: int | list[int], dim: int = 0) -> tuple[LazyFeatureMap, ...]:
    count = parts if isinstance(parts, int) else len(parts)
    return tuple(by_rows(func, x, parts, dim=dim, pick=i) for i in range(count))


@handles(materialize)
def _materialize(func: Any, x: LazyFeatureMap) -> LazyFeatureMap:
    return x.materialize()


def _scaled(
    x: LazyFeatureMap,
    result: Any,
    needs: Callable[[int, int], Range],
    run: Callable[[Tensor, Range, int, int], Tensor],
) -> LazyFeatureMap:
    """A map made from one other: ``needs`` may exceed it, and is cut to the rows that there are."""

    def inside(top: int, bottom: int) -> Range:
        first, last = needs(top, bottom)
        return max(0, first), min(x.height, last)

    return LazyFeatureMap(
        x.grid,
        result.shape,
        result.dtype,
        axis=x.axis,
        parents=[x],
        needs=lambda top, bottom: [inside(top, bottom)],
        run=lambda inputs, ranges, top, bottom: run(inputs[0], ranges[0], top, bottom),
    )


@handles(F.conv2d)
def _conv2d(
    func: Any,
    x: LazyFeatureMap,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> LazyFeatureMap:
    (step, across), (pad, beside) = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding))
    spread = dilation[0] if isinstance(dilation, tuple) else dilation
    reach = spread * (weight.shape[2] - 1) + 1

    def needs(top: int, bottom: int) -> Range:
        return top * step - pad, (bottom - 1) * step - pad + reach

    def run(rows: Tensor, have: Range, top: int, bottom: int) -> Tensor:
        first, last = needs(top, bottom)
        if first < have[0] or last > have[1]:  # the border of the image itself
            rows = F.pad(rows, (0, 0, have[0] - first, last - have[1]))
        return func(rows, weight, bias, (step, across), (0, beside), dilation, groups)

    return _scaled(x, _outcome(func, (x, weight, bias, stride, padding, dilation, groups), {}), needs, run)


@handles(F.pad)
def _pad(
    func: Any, x: LazyFeatureMap, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> LazyFeatureMap:
    if mode != "replicate" or len(pad) != 4 or x.axis != 2:
        raise NotImplementedError(f"padding of kind {mode}, {pad} is not known to stylecli/tiling")
    left, right, above = pad[:3]

    def needs(top: int, bottom: int) -> Range:
        # Rows beyond the border repeat the last one there.
        return min(top - above, x.height - 1), max(bottom - above, 1)

    def run(rows: Tensor, have: Range, top: int, bottom: int) -> Tensor:
        more = max(0, have[0] - (top - above)), max(0, bottom - above - have[1])
        return func(rows, (left, right, *more), mode=mode)

    return _scaled(x, _outcome(func, (x, pad, mode), {}), needs, run)


@handles(conv3x3)
def _conv3x3(
    func: Any,
    x: LazyFeatureMap,
    weight: Tensor,
    bias: Tensor,
    prepared: Any,
    before: float,
    after: float,
    added: LazyFeatureMap | None,
) -> LazyFeatureMap:
    if added is None:
        return _three_rows(func, x, weight, bias, prepared, before, after)
    sums = _three_rows(func, x, weight, bias, prepared, before) + added
    return F.leaky_relu(sums, after)  # type: ignore[arg-type, return-value]


@handles(depthwise3x3)
def _three_rows(func: Any, x: LazyFeatureMap, *args: Any) -> LazyFeatureMap:
    """Of every row the one above and the one below are needed, where there are any."""

    def run(rows: Tensor, have: Range, top: int, bottom: int) -> Tensor:
        return func(rows, *args).narrow(2, top - have[0], bottom - top)

    return _scaled(x, _outcome(func, (x, *args), {}), lambda top, bottom: (top - 1, bottom + 1), run)


@handles(enlarged_conv3x3)
def _enlarged_conv3x3(func: Any, x: LazyFeatureMap, *args: Any) -> LazyFeatureMap:
    def run(rows: Tensor, have: Range, top: int, bottom: int) -> Tensor:
        return func(rows, *args).narrow(2, top - 2 * have[0], bottom - top)

    result = _outcome(func, (x, *args), {})
    return _scaled(x, result, lambda top, bottom: ((top - 1) // 2 - 1, bottom // 2 + 2), run)


@handles(F.pixel_shuffle)
def _pixel_shuffle(func: Any, x: LazyFeatureMap, factor: int) -> LazyFeatureMap:
    def run(rows: Tensor, have: Range, top: int, bottom: int) -> Tensor:
        return func(rows, factor).narrow(2, top - factor * have[0], bottom - top)

    return _scaled(
        x, _outcome(func, (x, factor), {}), lambda top, bottom: (top // factor, -(-bottom // factor)), run
    )


@handles(F.pixel_unshuffle, F.avg_pool2d)
def _reduced(func: Any, x: LazyFeatureMap, factor: int) -> LazyFeatureMap:
    return _scaled(
        x,
        _outcome(func, (x, factor), {}),
        lambda top, bottom: (factor * top, factor * bottom),
        lambda rows, have, top, bottom: func(rows, factor),
    )


@handles(F.interpolate)
def _interpolate(
    func: Any, x: LazyFeatureMap, size: None = None, *, scale_factor: int, **kwargs: Any
) -> LazyFeatureMap:
    """Bilinear, to a multiple of the size."""

    def enlarged(rows: Tensor) -> Tensor:
        return func(rows, scale_factor=scale_factor, **kwargs)

    return _scaled(
        x,
        enlarged(_without_numbers(x)),
        lambda top, bottom: (top // scale_factor - 1, (bottom - 1) // scale_factor + 2),
        lambda rows, have, top, bottom: enlarged(rows).narrow(2, top - scale_factor * have[0], bottom - top),
    )


@handles(Tensor.__getitem__)
def _cut_out(func: Any, x: LazyFeatureMap, index: tuple[Any, ...]) -> LazyFeatureMap:
    """``x[..., a:b, c:d]`` and ``x[:, :, :b, :d]``: rows and columns cut off."""
    rows, columns = index[-2:]
    if x.axis != 2 or x.ndim != 4 or not all(isinstance(part, slice) for part in (rows, columns)):
        raise NotImplementedError(f"the part {index} is not known to stylecli/tiling")
    start = rows.indices(x.height)[0]
    return _scaled(
        x,
        _without_numbers(x)[index],
        lambda top, bottom: (start + top, start + bottom),
        lambda part, have, top, bottom: part[..., columns],
    )
