"""StyleRWKV as the rest sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stylecli.models.descriptor import Descriptor

if TYPE_CHECKING:
    from torch import nn

    from stylecli.models.style_rwkv.feature_network import StyleFeatureNetwork
    from stylecli.models.style_rwkv.model import StyleRwkv
    from stylecli.models.texture import FeatureNetwork


def _reader(network: nn.Module) -> FeatureNetwork:
    from stylecli.models.texture import FeatureNetwork

    reader: StyleFeatureNetwork = network.reader  # type: ignore[assignment]
    return FeatureNetwork(reader.maps, (2, 2, 4, 8), reader.halo)


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
    features=_reader,
)
