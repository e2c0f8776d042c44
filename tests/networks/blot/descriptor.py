"""The toy network as the rest sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stylecli.models.descriptor import Descriptor

if TYPE_CHECKING:
    from torch import nn


def _build(config: str) -> nn.Module:
    from stylecli.models.blot.model import Blot

    return Blot(config)


DESCRIPTOR = Descriptor("blot", _build, settings=frozenset({"blot_share"}), guided_by="picture", memory=None)
