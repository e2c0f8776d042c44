"""StyleRWKV as the rest sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stylecli.models.descriptor import Descriptor

if TYPE_CHECKING:
    from torch import nn

    from stylecli.models.style_rwkv.model import StyleRwkv
    from stylecli.models.texture import Features


def _reader_maps(network: nn.Module) -> Features:
    return network.reader.maps  # type: ignore[union-attr,return-value]


def _build(config: str) -> StyleRwkv:
    from stylecli.models.style_rwkv.config import StyleRwkvConfig
    from stylecli.models.style_rwkv.model import StyleRwkv

    return StyleRwkv(StyleRwkvConfig.from_json(config))


# Not in bfloat16 on a CPU: it is no faster so, and the coarse numbers show in flat pictures (30 dB from float32, others
# 45) and make films flicker half as much again.
DESCRIPTOR = Descriptor(
    "style-rwkv",
    _build,
    settings=frozenset({"style_blocks", "shift_groups"}),
    guided_by="picture",
    texture_features=_reader_maps,
)
