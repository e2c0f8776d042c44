"""Every operator on this machine, forward and backward, against its float64 reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from stylecli.ops.catalog import LIMITS, Operator

# Odd, and across the borders of chunks and vectors; at 2 some gradients are zero.
QUICK = (3, 33, 130)  # the CPU cuts at 64 or fewer
FULL = (*QUICK, 401)  # cards cut at 256 or fewer


@dataclass(frozen=True)
class Result:
    """One line of the table. ``error`` is relative RMS, the worst of all lengths (and of all gradients)."""

    op: str
    device: str
    dtype: str
    part: str  # "forward" or "backward"
    path: str  # "compiled" or "torch"
    error: float
    limit: float
    problem: str = ""  # in words; empty where the error is within its limit

    @property
    def passed(self) -> bool:
        return not self.problem

    def row(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)


def check(
    op: Operator, device: torch.device, dtype: torch.dtype, lengths: Sequence[int], every_path: bool
) -> Iterator[Result]:
    """Forward and backward of one operator, on inputs of some lengths and on extreme ones.

    Args:
        every_path: also what plain torch computes; else compiled kernels alone.
    """
    generator = torch.Generator().manual_seed(0)
    examples = [tuple(x.to(dtype) for x in op.example(n, generator)) for n in lengths]
    compiled = op.is_compiled(*(x.to(device) for x in examples[0]))
    if not compiled and not every_path:
        return
    extremes = [tuple(x.to(dtype) for x in change(*op.example(33, generator))) for change in op.extremes]
    for part, measure, is_compiled in (
        ("forward", _forward_error, compiled),
        ("backward", _backward_error, compiled and op.learns),
    ):
        if not is_compiled and not every_path:
            continue
        error, problem = 0.0, ""
        limit = LIMITS[dtype][part == "backward"]
        try:
            inputs = (*examples, *extremes) if part == "forward" else examples
            error = max(measure(op, device, one) for one in inputs)
        except Exception as trouble:  # whatever a kernel or a driver comes up with: the table must go on
            error = float("inf")
            problem = f"{type(trouble).__name__}: {str(trouble).splitlines()[0] if str(trouble) else ''}"
        if not problem and not error <= limit:
            problem = (
                f"off by {error:.1e} {part} in {str(dtype).removeprefix('torch.')}, {limit:.0e} is allowed"
            )
        path = "compiled" if is_compiled else "torch"
        name = str(dtype).removeprefix("torch.")
        yield Result(op.name, str(device), name, part, path, error, limit, problem)


def _forward_error(op: Operator, device: torch.device, inputs: tuple[Tensor, ...]) -> float:
    expected = op.reference(*(x.double() for x in inputs))
    with torch.no_grad():  # as when stylizing: an operator may keep less for later here
        return relative_rms(op.function(*(x.to(device) for x in inputs)), expected)


def _backward_error(op: Operator, device: torch.device, inputs: tuple[Tensor, ...]) -> float:
    exact = [x.double().requires_grad_() for x in inputs]
    expected = op.reference(*exact)
    grad = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).to(inputs[0].dtype)
    expected_grads = torch.autograd.grad(expected, exact, grad.double())
    fast = [x.to(device).requires_grad_() for x in inputs]
    got = op.function(*fast)
    got_grads = torch.autograd.grad(got, fast, grad.to(device, got.dtype))
    return max(relative_rms(g, e) for g, e in zip(got_grads, expected_grads, strict=True))


def relative_rms(got: Tensor, expected: Tensor) -> float:
    """``|got - expected| / |expected|`` in float64; infinite where ``got`` holds NaN or infinity."""
    error = (got.detach().double().cpu() - expected.detach()).norm() / expected.detach().norm()
    return error.item() if torch.isfinite(error) else float("inf")
