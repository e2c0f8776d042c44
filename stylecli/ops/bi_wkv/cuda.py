"""Calls of the CUDA bi-WKV (``kernels/bi_wkv/bi_wkv.cu``) in float32, float16 and bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor

from stylecli.ops import cuda
from stylecli.ops.bi_wkv import chunked

# As in the source: tokens of a chunk, which is a block's share, for elements of so many bytes; channels of a block.
_FORWARD_CHUNK = {2: 256, 4: 128}
_BACKWARD_CHUNK = 64
_STEPS = {"forward": 16, "backward": 8}  # tokens of a warp
_LANES, _CARRY_LANES, _CARRY_THREADS = 32, 8, 1024


def usable(w: Tensor, u: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether the CUDA path takes these inputs: of one card, of any float type but float64."""
    if not cuda.takes(w, u, k, v):
        return False
    B, T, C = k.shape
    blocks = B * -(-T // _BACKWARD_CHUNK) * -(-C // _CARRY_LANES)  # more than any of the grids has
    return blocks <= cuda.MAX_BLOCKS and _kernels(k, v) is not None


def _kernels(k: Tensor, v: Tensor) -> cuda.Kernels | None:
    return cuda.load("bi_wkv", k.device, f"ONLY_{cuda.STORAGE[cuda.storage(k, v)]}")


class _Scan:
    """The three launches of one pass over (B, T, C): sums of the chunks, what they carry on, and the results."""

    def __init__(self, name: str, chunk: int, fields: int, k: Tensor, v: Tensor) -> None:
        kernels = _kernels(k, v)
        assert kernels is not None
        self.launch, self.name, self.chunk = kernels.launch, f"bi_wkv_{name}", chunk
        self.B, self.T, self.C = k.shape
        self.chunks = -(-self.T // chunk)
        self.threads = chunk // _STEPS[name] * _LANES
        self.suffix = cuda.STORAGE[k.dtype]
        self.sums = k.new_empty((self.B, self.chunks, fields, self.C), dtype=torch.float32)

    def run(self, which: str, *arguments: int | Tensor | None) -> None:
        grid = (self.B * self.chunks * -(-self.C // _LANES), 1, 1)
        self.launch(f"{self.name}_{which}_{self.suffix}", grid, self.threads, self.T, self.C, *arguments)

    def carry(self, w: Tensor) -> None:
        grid = (self.B * -(-self.C // _CARRY_LANES), 1, 1)
        self.launch(f"{self.name}_carry", grid, _CARRY_THREADS, self.T, self.C, self.chunk, w, self.sums)


def bi_wkv(w: Tensor, u: Tensor, k: Tensor, v: Tensor, keep: bool = True) -> tuple[Tensor, Tensor | None]:
    """y (B, T, C) in the type of k and v, float32 where they differ; and the denominator in float32 if ``keep``."""
    storage = cuda.storage(k, v)
    k, v = (t.to(storage).contiguous() for t in (k, v))
    w, u = (t.float().contiguous() for t in (w, u))
    y, denominator = torch.empty_like(k), torch.empty_like(k, dtype=torch.float32) if keep else None
    wide = cuda.wide(k.shape[2], k, v, y)
    scan = _Scan("forward", _FORWARD_CHUNK[storage.itemsize], 5, k, v)
    scan.run("sums", wide, k, v, w, scan.sums)
    scan.carry(w)
    scan.run("apply", wide, k, v, w, u, scan.sums, y, denominator)
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
    T, C = k.shape[1:]
    w, u = w.float(), u.float().contiguous()
    own = (w * (T / length)).contiguous()  # the kernels divide by the tokens that they see
    y = torch.empty_like(k)
    wide = cuda.wide(C, k, v, y)
    scan = _Scan("forward", _FORWARD_CHUNK[storage.itemsize], 5, k, v)
    scan.run("sums", wide, k, v, own, scan.sums)
    first = scan.sums[:, 0, [0, 3, 4]]  # (B, 3, C): what the first chunk adds to those on its left
    scan.carry(own)
    sums = scan.sums  # (B, chunks, 5, C)
    own_top = sums[:, 0, 0]  # (B, C), of all chunks by now
    top = chunked.highest(own_top, left, right)
    sums[:, :, 1:] *= torch.exp(own_top - top)[:, None, None]
    sums[:, :, 0] = top[:, None]
    begins = torch.arange(0, T, scan.chunk, device=k.device)
    behind = T - (begins + scan.chunk).clamp(max=T)  # tokens behind each chunk
    for state, fields, steps in ((left, slice(1, 3), begins), (right, slice(3, 5), behind)):
        if state is not None:
            far = chunked.decays(w, steps, length)  # (chunks, C)
            sums[:, :, fields] += chunked.relative(state, top).transpose(0, 1)[:, None] * far[:, None]
    across = torch.exp(min(scan.chunk, T) * (-w / length))
    to_left = sums[:, 0, 3:].transpose(0, 1) * across + chunked.relative(first, top)
    # The last chunk may be a part of one, over which the kernels carry nothing but zeros.
    tail = slice((scan.chunks - 1) * scan.chunk, None)
    before = chunked.packed(top, sums[:, -1, 1:3].transpose(0, 1))
    y_tail, to_right, _ = chunked.bi_wkv_segment(w, u, k[:, tail], v[:, tail], length, before, right, results)
    if y_tail is not None:
        scan.run("apply", wide, k, v, own, u, sums, y, None)
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
    scan = _Scan("backward", _BACKWARD_CHUNK, 9, k, v)
    partial = k.new_empty((scan.B, scan.chunks, 2, scan.C), dtype=torch.float32)
    scan.run("sums", wide, k, grad, y, denominator, w, scan.sums)
    scan.carry(w)
    scan.run("apply", wide, k, v, grad, y, denominator, w, u, scan.sums, grad_k, grad_v, partial)
    grad_w, grad_u = partial.sum((0, 1), dtype=torch.float64).float()
    return grad_w, grad_u, grad_k, grad_v
