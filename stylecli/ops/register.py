"""Make functions known to torch as operators.

What ``torch.library.custom_op`` does, in the calls beneath it: at its first call that imports torch's compiler, which
takes longer than painting a small picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

_inlined = False


@contextmanager
def inlined() -> Iterator[None]:
    """Within: operators are the functions themselves, for exporters that know torch's own operators alone."""
    global _inlined
    _inlined = True
    try:
        yield
    finally:
        _inlined = False


class Registered:
    """A function as the operator ``name``, such as "stylecli::bi_wkv". Its annotations give its schema; it returns
    fresh tensors, and changes none."""

    def __init__(self, name: str, function: Callable[..., Any]):
        self.name, self._function = name, function
        torch.library.define(name, torch.library.infer_schema(function, mutates_args=()))
        torch.library.impl(name, "default", function)
        namespace, _, short = name.partition("::")
        self._overload = getattr(getattr(torch.ops, namespace), short).default

    def __call__(self, *args: Any) -> Any:
        return self._function(*args) if _inlined else self._overload(*args)

    def register_fake(self, function: Callable[..., Any]) -> None:
        """Say what shapes it returns, for ``torch.compile``."""
        torch.library.register_fake(self.name, function)

    def register_autograd(self, backward: Callable[..., Any], *, setup_context: Callable[..., None]) -> None:
        """Say what its gradients are."""
        torch.library.register_autograd(self.name, backward, setup_context=setup_context)


def operator(name: str) -> Callable[[Callable[..., Any]], Registered]:
    """Decorator: :class:`Registered` in place of the function."""
    return lambda function: Registered(name, function)
