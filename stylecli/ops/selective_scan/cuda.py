"""Calls of the CUDA selective scan (``kernels/selective_scan/selective_scan.cu``) in float32, float16 and bfloat16.

``usable`` takes the forward's inputs, for the backward pass too, which starts again from these inputs alone.
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
    return blocks <= cuda.MAX_BLOCKS and _kernels(u, delta, A, z) is not None


def _kernels(u: Tensor, delta: Tensor, A: Tensor, z: Tensor | None) -> cuda.Kernels | None:
    states = A.shape[1]
    only = f"ONLY_{cuda.STORAGE[cuda.storage(u, delta, z)]}"
    return cuda.load("selective_scan", A.device, only, f"STATES={states}", f"TILE={_tile(states)}")


class _Scan:
    """Sizes and inputs of a scan over (batch, L, channels), and its launches."""

    def __init__(
        self,
        u: Tensor,
        delta: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        z: Tensor | None,
        delta_bias: Tensor | None,
        softplus: bool,
    ) -> None:
        kernels = _kernels(u, delta, A, z)
        assert kernels is not None
        self._launch = kernels.launch
        self.storage = cuda.storage(u, delta, z)
        self.batch, self.L, self.channels = u.shape
        self.states = A.shape[1]
        chunk = chunk_length(*u.shape)
        self.chunks = -(-self.L // chunk)
        self.blocks = -(-self.channels // _THREADS)
        self._A = A.float().t().contiguous()  # (N, D): lanes read side by side
        self._totals = self.new(self.batch, self.chunks, self.channels)
        sizes = (self.batch, self.L, self.channels, chunk, softplus)
        stored = (t if t is None else self.stored(t) for t in (u, delta, z))
        small = (t if t is None else t.float().contiguous() for t in (B, C, D, delta_bias))
        (u_, delta_, z_), (B_, C_, D_, bias) = stored, small
        self._inputs = (*sizes, u_, delta_, self._A, B_, C_, D_, z_, bias)

    def stored(self, x: Tensor) -> Tensor:
        return x.to(self.storage).contiguous()

    def like_u(self) -> Tensor:
        return self._A.new_empty((self.batch, self.L, self.channels), dtype=self.storage)

    def new(self, *shape: int) -> Tensor:
        return self._A.new_empty(shape)

    def run(self, which: str, *arguments: Tensor | None) -> None:
        name = f"selective_scan_{which}_{cuda.STORAGE[self.storage]}"
        self._launch(
            name, (self.batch * self.chunks * self.blocks, 1, 1), _THREADS, *self._inputs, *arguments
        )

    def entering(
        self, which: str, *arguments: Tensor, h0: Tensor | None = None, ht: Tensor | None = None
    ) -> Tensor:
        """The states (batch, chunks, N, D) that enter each chunk, from the left or, backward, from the right.

        States ``h0`` (batch, D, N) enter the first chunk; ``ht`` is filled with those that leave the last one. The
        kernels know neither, but what enters a chunk is a sum, to which ``h0`` is added."""
        states = self.new(self.batch, self.chunks, self.states, self.channels)
        self.run(f"{which}_sums", *arguments, states, self._totals)
        last = None if ht is None else states[:, -1].clone()  # (batch, N, D): of its own tokens alone
        grid = (-(-self.batch * self.states * self.channels // 256), 1, 1)
        sizes = (self.batch, self.chunks, self.channels, which == "backward")
        self._launch("selective_scan_carry", grid, 256, *sizes, self._A, self._totals, states)
        if h0 is not None:
            since = self._totals.cumsum(1) - self._totals  # (batch, chunks, D): steps before each chunk
            states += torch.exp(since[:, :, None] * self._A) * h0.float().transpose(1, 2)[:, None]
        if ht is not None and last is not None:
            ht.copy_((torch.exp(self._totals[:, -1, None] * self._A) * states[:, -1] + last).transpose(1, 2))
        return states


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    softplus: bool = False,
    h0: Tensor | None = None,
    ht: Tensor | None = None,
) -> Tensor:
    """y (batch, L, D) in the type of u, delta and z, float32 where they differ.

    ``d = softplus(delta + delta_bias)``, ``h_t = exp(d_t A) h_{t-1} + d_t B_t u_t``, ``y_t = (C_t h_t + D u_t)
    silu(z_t)``; softplus, bias and gate may be left out.

    Args:
        u, delta, z: (batch, L, D); B, C: (batch, L, N); A: (D, N); D, delta_bias: (D,).
        h0: (batch, D, N), the states before the first token. ht: the same, float32, filled with those after the last.
    """
    scan = _Scan(u, delta, A, B, C, D, z, delta_bias, softplus)
    y = scan.like_u()
    scan.run("forward_apply", scan.entering("forward", h0=h0, ht=ht), y)
    return y


def selective_scan_backward(
    grad: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    softplus: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """Gradients of u, delta, A, B, C, D, z and delta_bias in this order; None for what is None.

    Those of u, delta and z are in the type that y has, the others in float32.
    """
    scan = _Scan(u, delta, A, B, C, D, z, delta_bias, softplus)
    grad = scan.stored(grad)
    grad_u, grad_delta, grad_z = scan.like_u(), scan.like_u(), None if z is None else scan.like_u()
    marks = scan.new(scan.batch, -(-scan.L // _tile(scan.states)), scan.states, scan.channels)
    scan.run("backward_marks", grad, scan.entering("forward"), marks, grad_z)
    sums = scan.new(scan.batch, scan.chunks, scan.states + 2, scan.channels)
    sums_b, sums_c = (scan.new(scan.blocks, scan.batch, scan.L, scan.states) for _ in range(2))
    carried = scan.entering("backward", grad)
    scan.run("backward_apply", grad, marks, carried, grad_u, grad_delta, sums, sums_b, sums_c)
    shares = sums.sum((0, 1), dtype=torch.float64).float()  # (N + 2, D)
    grad_bias = None if delta_bias is None else shares[-1]
    return grad_u, grad_delta, shares[:-2].t(), sums_b.sum(0), sums_c.sum(0), shares[-2], grad_z, grad_bias
