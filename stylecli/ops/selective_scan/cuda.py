"""Calls of the CUDA selective scan (``kernels/selective_scan/selective_scan.cu``) in float32, float16 and bfloat16.

For wiring it in, in the manner of ``bi_wkv``: ``usable`` takes the forward's inputs, for the backward pass too;
``selective_scan`` returns what ``selective_scan_backward`` needs beside them, the states (batch, chunks, N, D) in
float32 that enter each chunk of ``chunk_length`` tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stylecli.ops import cuda

MAX_STATES = 64
_THREADS = 64  # channels of a block


def chunk_length(batch: int, length: int, channels: int) -> int:
    """Tokens that one thread takes: short enough to fill a card, long enough for little to carry. A multiple of 16."""
    fair = batch * length * channels // 2**17
    return min(max(32, fair // 16 * 16), 512)


def _tile(states: int) -> int:
    return 16 if states <= 32 else 8  # as the source says: what fits into shared memory


def usable(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
) -> bool:
    """Whether the CUDA path takes these inputs: of one card, of any float type but float64, at most 64 states."""
    if not cuda.takes(u, delta, A, B, C, D, z, delta_bias) or A.shape[1] > MAX_STATES:
        return False
    batch, L, channels = u.shape
    blocks = batch * -(-L // 32) * -(-channels // _THREADS)
    return blocks <= cuda.MAX_BLOCKS and _kernels(A, u, delta, B, C, z) is not None


def _kernels(A: Tensor, *stored: Tensor | None) -> cuda.Kernels | None:
    states = A.shape[1]
    only = f"ONLY_{cuda.STORAGE[cuda.storage(*stored)]}"
    return cuda.load("selective_scan", A.device, only, f"STATES={states}", f"TILE={_tile(states)}")


class _Scan:
    """Sizes, and the launches of a scan over (batch, L, channels)."""

    def __init__(self, A: Tensor, *stored: Tensor | None) -> None:
        u = stored[0]
        kernels = _kernels(A, *stored)
        assert kernels is not None and u is not None
        self._launch = kernels.launch
        self._suffix = cuda.STORAGE[cuda.storage(*stored)]
        self.batch, self.L, self.channels = u.shape
        self.states = A.shape[1]
        self.chunk = chunk_length(*u.shape)
        self.chunks = -(-self.L // self.chunk)
        self.blocks = -(-self.channels // _THREADS)
        self.A = A.float().t().contiguous()  # (N, D): lanes read side by side
        self.totals = self.new(self.batch, self.chunks, self.channels)

    def new(self, *shape: int) -> Tensor:
        return self.A.new_empty(shape)

    def run(self, which: str, *arguments: int | Tensor | None) -> None:
        grid = (self.batch * self.chunks * self.blocks, 1, 1)
        sizes = (self.L, self.channels, self.chunk)
        self._launch(f"selective_scan_{which}_{self._suffix}", grid, _THREADS, *sizes, *arguments)

    def carry(self, states: Tensor, *, reverse: bool) -> None:
        grid = (-(-self.batch * self.states * self.channels // 256), 1, 1)
        sizes = (self.batch, self.chunks, self.channels, reverse)
        self._launch("selective_scan_carry", grid, 256, *sizes, self.A, self.totals, states)


def _as(dtype: torch.dtype, *tensors: Tensor | None) -> list[Tensor | None]:
    return [None if t is None else t.to(dtype).contiguous() for t in tensors]


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """y (batch, L, D), and the states (batch, chunks, N, D) in float32 that the backward pass starts from.

    ``d = softplus(delta + delta_bias)``, ``h_t = exp(d_t A) h_{t-1} + d_t B_t u_t``, ``y_t = (C_t h_t + D u_t)
    silu(z_t)``.

    Args:
        u, delta, z: (batch, L, D); B, C: (batch, L, N); A: (D, N); D, delta_bias: (D,).

    Returns:
        y in the type of u, delta, B, C and z, or in float32 where they differ.
    """
    scan = _Scan(A, u, delta, B, C, z)
    storage = cuda.storage(u, delta, B, C, z)
    u_, delta_, B_, C_, z_ = _as(storage, u, delta, B, C, z)
    D_, bias = _as(torch.float32, D, delta_bias)
    y = torch.empty_like(u, dtype=storage, memory_format=torch.contiguous_format)
    states = scan.new(scan.batch, scan.chunks, scan.states, scan.channels)
    scan.run("forward_sums", u_, delta_, scan.A, B_, bias, states, scan.totals)
    scan.carry(states, reverse=False)
    scan.run("forward_apply", u_, delta_, scan.A, B_, C_, D_, z_, bias, states, y)
    return y, states


def selective_scan_backward(
    grad: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor | None,
    delta_bias: Tensor | None,
    states: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """Gradients of u, delta, A, B, C, D, z and delta_bias in this order; None for what is None.

    Those of u, delta and z are in the type that y has, the others in float32.
    """
    scan = _Scan(A, u, delta, B, C, z)
    storage = cuda.storage(u, delta, B, C, z)
    grad_, u_, delta_, B_, C_, z_ = _as(storage, grad, u, delta, B, C, z)
    D_, bias = _as(torch.float32, D, delta_bias)
    grad_u, grad_delta = (u.new_empty(u.shape, dtype=storage) for _ in range(2))
    grad_z = None if z is None else u.new_empty(u.shape, dtype=storage)
    marks = scan.new(scan.batch, -(-scan.L // _tile(scan.states)), scan.states, scan.channels)
    carried = torch.empty_like(states)
    inputs = (grad_, u_, delta_, scan.A, B_, C_, D_, z_, bias)
    scan.run("backward_marks", *inputs, states, marks, grad_z)
    scan.run("backward_sums", grad_, delta_, scan.A, C_, z_, bias, carried, scan.totals)
    scan.carry(carried, reverse=True)
    sums = scan.new(scan.batch, scan.chunks, scan.states + 2, scan.channels)
    sums_b, sums_c = (scan.new(scan.blocks, scan.batch, scan.L, scan.states) for _ in range(2))
    results = (grad_u, grad_delta, sums, sums_b, sums_c)
    scan.run("backward_apply", scan.batch, *inputs, marks, carried, *results)
    shares = sums.sum((0, 1), dtype=torch.float64).float()  # (N + 2, D)
    grad_bias = None if delta_bias is None else shares[-1]
    return grad_u, grad_delta, shares[:-2].t(), sums_b.sum(0), sums_c.sum(0), shares[-2], grad_z, grad_bias
