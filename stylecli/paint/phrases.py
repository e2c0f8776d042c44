"""What phrases look like, for networks that paint after style vectors: the text encoder and the style prior."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from stylecli.errors import UsageError
from stylecli.models.registry import load_network
from stylecli.models.siglip import load_siglip
from stylecli.models.style_prior.model import StylePrior, witness_picture
from stylecli.weights import locate

if TYPE_CHECKING:
    from stylecli.models.siglip import Siglip

log = logging.getLogger(__name__)

PRIOR, ENCODER = "styleprior-s", "siglip-s"
DETAIL = 0.18
"""Of the photograph's detail, given back to what is painted after a phrase: it can be as bold as any style image, and
nobody chose it for this photograph (own decision; docs/quality.md says what that gives)."""
_APART = 0.2  # spreads; style vectors of one picture by networks that read styles alike differ by less


@dataclass(frozen=True)
class Phrases:
    """A text encoder and a prior; both on the CPU."""

    encoder: Siglip
    prior: StylePrior

    def style(self, phrase: str, take: int = 0) -> tuple[Tensor, Tensor]:
        """Style vector (1, S) and embedding (1, E) of a phrase. ``take``: another one of the same phrase."""
        with torch.inference_mode():
            warn_if_out_of_domain(self.encoder, phrase)
            imagined = self.prior.imagine(phrase, self.encoder.encode_text, take)
            embedding = self.encoder.encode_text([phrase]).clone()
        shown = "; ".join(f"{name} {round(100 * share)} %" for name, share in imagined.leaned)
        log.debug(f"'{_brief(phrase)}' leans on {shown or 'nothing that has a name'}")
        return imagined.vector.clone(), embedding

    def check(self, network: nn.Module) -> None:
        """Raises UsageError where a network's own style vectors mean something else."""
        found = cast(Any, network).encode_style(witness_picture().to(next(network.parameters())))
        space, wanted = self.prior.space, self.prior.witness
        if found.shape[1] != len(wanted):
            apart = float("inf")
        else:
            apart = float(((found[0].float().cpu() - wanted) / space.spread).abs().mean())
        if not apart < _APART:
            raise UsageError(
                "phrases need a network that reads styles as stylerwkv-s does; this one was trained with another "
                "style encoder: take --style, or stylize text"
            )


@lru_cache(maxsize=1)
def load_phrases() -> Phrases:
    """The bundled ones. Raises WeightsError."""
    prior = load_network(locate(PRIOR), "style-prior")
    assert isinstance(prior, StylePrior)
    return Phrases(load_siglip(locate(ENCODER)), prior)


def warn_if_out_of_domain(encoder: Siglip, phrase: str) -> None:
    score, threshold = float(encoder.in_domain_score([phrase])), encoder.config.threshold
    if score < threshold:
        log.warning(
            f"'{_brief(phrase)}' is far from everything that the text encoder was trained on "
            f"(in-domain score {score:.2f}, usual above {threshold:.2f}): do not expect much"
        )


def _brief(phrase: str) -> str:
    return phrase if len(phrase) <= 60 else f"{phrase[:57]}..."
