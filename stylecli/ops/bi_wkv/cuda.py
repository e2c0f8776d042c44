"""Calls of the CUDA bi-WKV (``kernels/bi_wkv/bi_wkv.cu``) in float32, float16 and bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor

from stylecli.ops import cuda
from stylecli.ops.bi_wkv import chunked

# As in the source: tokens of a chunk, which is a block's share; channels of a block, each 4 bytes of a forward one's.
_CHUNK = {"forward": 128, "backward": 64}
_THREADS = 256
_LANES, _CARRY_LANES, _CARRY_THREADS = 32, 2, 512
_SIDES = {
    "forward": 4,
    "backward": 8,
}  # numbers that a chunk leaves behind on its two sides, for each channel


def usable(w: Tensor, u: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether the CUDA path takes these inputs: of one card, of any float type but float64."""
    if not cuda.takes(w, u, k, v):
        return False
    B, T, C = k.shape
    blocks = B * -(-T // _CHUNK["backward"]) * -(-C // _CARRY_LANES)  # more than any of the grids has
    return blocks <= cuda.MAX_BLOCKS and _kernels(k, v) is not None


def _kernels(k: Tensor, v: Tensor) -> cuda.Kernels | None:
    return cuda.load("bi_wkv", k.device, f"ONLY_{cuda.STORAGE[cuda.storage(k, v)]}")


class _Scan:
    """The three launches of one pass over (B, T, C): sums of the chunks, what they carry on, and the results."""

    def __init__(self, name: str, k: Tensor, v: Tensor) -> None:
        kernels = _kernels(k, v)
        assert kernels is not None
        self.launch, self.name, self.chunk = kernels.launch, f"bi_wkv_{name}", _CHUNK[name]
        self.B, self.T, self.C = k.shape
        self.chunks = -(-self.T // self.chunk)
        self.groups = -(-self.C // (_LANES if name == "backward" else _LANES * 4 // k.itemsize))
        self.suffix = cuda.STORAGE[k.dtype]
        each = (self.B, self.chunks, self.C)
        self.states = k.new_empty((*each, _SIDES[name]), dtype=torch.float32)
        self.tops = k.new_empty(each, dtype=torch.float32)

    def run(self, which: str, *arguments: int | Tensor | None) -> None:
        grid = (self.B * self.chunks * self.groups, 1, 1)
        self.launch(f"{self.name}_{which}_{self.suffix}", grid, _THREADS, self.T, self.C, *arguments)

    def carry(self, w: Tensor) -> None:
        grid = (self.B * -(-self.C // _CARRY_LANES), 1, 1)
        arguments = (self.T, self.C, self.chunk, w, self.states, self.tops)
        self.launch(f"{self.name}_carry", grid, _CARRY_THREADS, *arguments)


def _paired(*tensors: Tensor) -> bool:
    """Whether every thread finds its channels in one aligned word of 4 bytes."""
    return all(t.shape[2] * t.itemsize % 4 == 0 and t.data_ptr() % 4 == 0 for t in tensors)


def bi_wkv(
    w: Tensor, u: Tensor, k: Tensor, v: Tensor, keep: bool = True, order: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """y (B, T, C) in the type of k and v, float32 where they differ; and the denominator in float32 if ``keep``.

    ``order`` (T,) int64: which token is the t-th of the sequence, in all of them; None where that is the t-th."""
    storage = cuda.storage(k, v)
    k, v = (t.to(storage).contiguous() for t in (k, v))
    w, u = (t.float().contiguous() for t in (w, u))
    y, denominator = torch.empty_like(k), torch.empty_like(k, dtype=torch.float32) if keep else None
    paired = _paired(k, v, y)
    scan = _Scan("forward", k, v)
    scan.run("sums", paired, k, v, order, w, scan.states, scan.tops)
    scan.carry(w)
    scan.run("apply", paired, k, v, order, w, u, scan.states, scan.tops, y, denominator)
    return y, denominator


def bi_wkv_segment(
    w: Tensor,
    u: Tensor,
    k: Tensor,
    v: Tensor,
    length: int,
    left: Tensor | None,
    right: Tensor | None,
    results: bool,
) -> tuple[Tensor | None, Tensor, Tensor]:
    """See :func:`stylecli.ops.bi_wkv.segment.bi_wkv_segment`; y is None unless ``results``.

    The kernels know no states from outside. But what enters a chunk is a sum, to which those from outside are added
    between ``carry`` and ``apply``; that takes a few numbers for each chunk.
    """
    storage = cuda.storage(k, v)
    k, v = (t.to(storage).contiguous() for t in (k, v))
    T = k.shape[1]
    w, u = w.float(), u.float().contiguous()
    own = (w * (T / length)).contiguous()  # the kernels divide by the tokens that they see
    y = torch.empty_like(k)
    paired = _paired(k, v, y)
    scan = _Scan("forward", k, v)
    scan.run("sums", paired, k, v, None, own, scan.states, scan.tops)
    # (B, 3, C): what the first chunk adds to those on its left
    first = torch.cat([scan.tops[:, :1], scan.states[:, 0, :, 2:].transpose(1, 2)], 1)
    scan.carry(own)
    states, tops = scan.states, scan.tops  # (B, chunks, C, 4), (B, chunks, C)
    own_top = tops[:, 0]  # (B, C), of all chunks by now
    top = chunked.highest(own_top, left, right)
    states *= torch.exp(own_top - top)[:, None, :, None]
    tops.copy_(top[:, None].expand_as(tops))
    begins = torch.arange(0, T, scan.chunk, device=k.device)
    behind = T - (begins + scan.chunk).clamp(max=T)  # tokens behind each chunk
    for state, fields, steps in ((left, slice(0, 2), begins), (right, slice(2, 4), behind)):
        if state is not None:
            far = chunked.decays(w, steps, length)  # (chunks, C)
            states[..., fields] += chunked.relative(state, top).permute(1, 2, 0)[:, None] * far[..., None]
    across = torch.exp(min(scan.chunk, T) * (-w / length))
    to_left = states[:, 0, :, 2:].permute(2, 0, 1) * across + chunked.relative(first, top)
    # The last chunk may be a part of one, over which the kernels carry nothing but zeros.
    tail = slice((scan.chunks - 1) * scan.chunk, None)
    before = chunked.packed(top, states[:, -1, :, :2].permute(2, 0, 1))
    y_tail, to_right, _ = chunked.bi_wkv_segment(w, u, k[:, tail], v[:, tail], length, before, right, results)
    if y_tail is not None:
        scan.run("apply", paired, k, v, None, own, u, states, tops, y, None)
        y[:, tail] = y_tail
    return y if results else None, to_right, chunked.packed(top, to_left)


def bi_wkv_backward(
    grad: Tensor, w: Tensor, u: Tensor, k: Tensor, v: Tensor, y: Tensor, denominator: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of w, u (C,) in float32 and of k, v (B, T, C) in their type. ``denominator`` is float32."""
    storage = cuda.storage(k, v)
    grad, k, v, y = (t.to(storage).contiguous() for t in (grad, k, v, y))
    w, u, denominator = (t.float().contiguous() for t in (w, u, denominator))
    grad_k, grad_v = torch.empty_like(k), torch.empty_like(v)
    wide = cuda.wide(k.shape[2], grad, k, v, y, denominator, grad_k, grad_v)
    scan = _Scan("backward", k, v)
    partial = k.new_empty((scan.B, scan.chunks, 2, scan.C), dtype=torch.float32)
    scan.run("sums", wide, k, grad, y, denominator, w, scan.states, scan.tops)
    scan.carry(w)
    inputs = (k, v, grad, y, denominator, w, u, scan.states, scan.tops)
    scan.run("apply", wide, *inputs, grad_k, grad_v, partial)
    grad_w, grad_u = partial.sum((0, 1), dtype=torch.float64).float()
    return grad_w, grad_u, grad_k, grad_v
