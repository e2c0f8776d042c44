"""Every operator on this machine, forward and backward, against its float64 reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from stylecli.ops.catalog import LIMITS, OPERATORS, Operator, devices, dtypes

LENGTHS = (3, 33, 257)  # odd, and across the borders of chunks and vectors; at 2 some gradients are zero


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
    problem: str = ""  # of an operator that did not even return

    @property
    def passed(self) -> bool:
        return not self.problem and self.error <= self.limit


def check_all() -> Iterator[Result]:
    """Check every operator on every device in every number format, on the path that it takes there."""
    for op in OPERATORS:
        for device in devices():
            for dtype in dtypes(device):
                yield from check(op, device, dtype)


def check(op: Operator, device: str, dtype: torch.dtype) -> tuple[Result, Result]:
    """Forward and backward of one operator."""
    generator = torch.Generator().manual_seed(0)
    compiled, problem = False, ""
    errors: list[tuple[float, float]] = []
    try:
        for length in LENGTHS:
            inputs = [x.to(dtype) for x in op.example(length, generator)]
            compiled = op.is_compiled(*(x.to(device) for x in inputs))
            errors.append(_errors(op, device, inputs))
    except Exception as error:  # whatever a kernel or a driver comes up with: the table must go on
        problem = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    path = "compiled" if compiled else "torch"
    path_back = path if op.learns else "torch"
    name = str(dtype).removeprefix("torch.")
    forward, backward = (max((pair[i] for pair in errors), default=float("inf")) for i in (0, 1))
    return (
        Result(op.name, device, name, "forward", path, forward, LIMITS[dtype][0], problem),
        Result(op.name, device, name, "backward", path_back, backward, LIMITS[dtype][1], problem),
    )


def _errors(op: Operator, device: str, inputs: list[Tensor]) -> tuple[float, float]:
    exact = [x.double().requires_grad_() for x in inputs]
    expected = op.reference(*exact)
    grad = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).to(inputs[0].dtype)
    expected_grads = torch.autograd.grad(expected, exact, grad.double())

    fast = [x.to(device).requires_grad_() for x in inputs]
    with torch.no_grad():  # as when stylizing: an operator may keep less for later here
        got = op.function(*fast)
    got_grads = torch.autograd.grad(op.function(*fast), fast, grad.to(device, got.dtype))
    backward = [relative_rms(g, e) for g, e in zip(got_grads, expected_grads, strict=True)]
    return relative_rms(got, expected), max(backward)


def relative_rms(got: Tensor, expected: Tensor) -> float:
    """``|got - expected| / |expected|`` in float64; infinite where ``got`` holds NaN or infinity."""
    error = (got.detach().double().cpu() - expected.detach()).norm() / expected.detach().norm()
    return error.item() if torch.isfinite(error) else float("inf")
