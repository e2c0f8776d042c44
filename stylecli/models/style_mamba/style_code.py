"""From a style to the style code that modulates every block of StyleMamba.

A style is what StyleRWKV's ``encode_style`` says of one picture, so that phrases and pictures share one space; beside
it stands the embedding of the phrase that asked for it, if there is one. Own decisions, where the paper (arXiv
2405.05027), which conditions on the prompt's embedding alone, has no need of any: the vector counts in standardised
principal components of training's styles; what the phrase adds begins at nothing.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecli.models.layers import SLOPE
from stylecli.models.style_mamba.config import StyleMambaConfig

_FAR = 8.0  # spreads; a style farther out than any of training's
_NARROW = 0.01  # of the widest direction; in one that is narrower than that, few styles do not differ at all
CODE_SIZE = 0.25
"""Root mean square of a code. Small, so that one step of Adam in the many layers that read it cannot overturn a
picture."""


class PromptCode(nn.Sequential):
    """Prompt embedding (B, E), of unit length, to style code (B, code)."""

    def __init__(self, embedding: int, code: int):
        super().__init__(nn.Linear(embedding, 2 * code), nn.LeakyReLU(SLOPE), nn.Linear(2 * code, code))

    def forward(self, embedding: Tensor) -> Tensor:
        # Of unit length, an embedding's numbers are tiny: without the factor no layer listens to the prompt.
        return super().forward(F.normalize(embedding, dim=-1) * embedding.shape[1] ** 0.5)  # type: ignore[no-any-return]


class StyleSpace(nn.Module):
    """Style vectors (B, S) to their standardised principal components (B, K), and back.

    ``mean``, ``spread`` (S,): of training's styles. ``basis`` (K, S): directions of length one, the widest first.
    ``widths`` (K,): standard deviations along them.
    """

    mean: Tensor
    spread: Tensor
    basis: Tensor
    widths: Tensor

    def __init__(self, style: int, components: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(style))
        self.register_buffer("spread", torch.ones(style))
        self.register_buffer("basis", torch.eye(components, style))
        self.register_buffer("widths", torch.ones(components))

    def forward(self, style: Tensor) -> Tensor:
        with torch.autocast(
            style.device.type, enabled=False
        ):  # narrow directions are made wide: all digits count
            standard = ((style.float() - self.mean.float()) / self.spread.float()).clamp(-_FAR, _FAR)
            return (standard @ self.basis.float().T / self.widths.float()).to(style.dtype)

    def vector(self, components: Tensor) -> Tensor:
        """The style vectors (B, S) that have these components and no others."""
        return self.mean + self.spread * ((components * self.widths) @ self.basis)

    @torch.no_grad()
    def fit(self, styles: Tensor) -> None:
        """Measure all of it on styles (N, S), N above K."""
        styles = styles.float()
        spread = styles.std(0)
        self.mean.copy_(styles.mean(0))
        self.spread.copy_(spread.clamp(min=0.05 * float(spread.median())))
        standard = ((styles - self.mean) / self.spread).clamp(-_FAR, _FAR).double()
        variances, directions = torch.linalg.eigh(standard.T @ standard / len(standard))  # rising
        count = len(self.widths)
        self.basis.copy_(directions[:, -count:].flip(1).T)
        widths = variances[-count:].flip(0).clamp(min=0).sqrt()
        self.widths.copy_(widths.clamp(min=_NARROW * float(widths[0])))


class StyleCode(nn.Module):
    """Style vector and prompt embedding in one row (B, S + E) to style code (B, code).

    An embedding of zeros is that of no phrase, and changes nothing; one shorter than 1, as in a blend, counts less.
    """

    def __init__(self, config: StyleMambaConfig):
        super().__init__()
        self.sizes = [config.style, config.embedding]
        self.space = StyleSpace(config.style, config.components)
        self.enter = nn.Linear(config.components, config.hidden)
        self.leave = nn.Linear(config.hidden, config.code)
        self.prompt = PromptCode(config.embedding, config.code)
        last: nn.Linear = self.prompt[-1]  # type: ignore[assignment]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, style: Tensor) -> Tensor:
        vector, embedding = style.split(self.sizes, dim=1)
        code = self.leave(self._hidden(vector))
        said = torch.linalg.vector_norm(embedding, dim=1, keepdim=True).clamp(max=1)
        return code + said * self.prompt(embedding)  # type: ignore[no-any-return]

    def random_styles(self, count: int, rng: np.random.Generator) -> Tensor:
        """Styles (count, S + E) as wide apart as training's, without a phrase."""
        drawn = rng.standard_normal((count, len(self.space.widths)), np.float32)
        vectors = self.space.vector(torch.from_numpy(drawn).to(self.space.mean))
        return torch.cat([vectors, vectors.new_zeros(count, self.sizes[1])], 1)

    def _hidden(self, vector: Tensor) -> Tensor:
        return F.leaky_relu(self.enter(self.space(vector)), SLOPE)

    @torch.no_grad()
    def begin_with(self, styles: Tensor, codes: Tensor | None = None) -> None:
        """Begin with the space of ``styles`` (N, S) and codes as large as they should be; with ``codes`` (N, C), C up
        to all of a code, the first C numbers begin as near to these as a linear fit comes."""
        self.space.fit(styles)
        hidden = self._hidden(styles.float())
        mean = hidden.mean(0)
        self.leave.bias.zero_()
        found = (hidden - mean) @ self.leave.weight.T
        self.leave.weight.mul_(CODE_SIZE / found.std(0)[:, None].clamp(min=1e-6))
        if codes is not None:
            centred, wanted = (hidden - mean).double(), codes.double() - codes.double().mean(0)
            ridge = 0.02 * len(centred) * centred.var(0).mean() * torch.eye(len(mean)).to(centred)
            fit = torch.linalg.solve(centred.T @ centred + ridge, centred.T @ wanted)  # (hidden, C)
            self.leave.weight[: codes.shape[1]] = fit.T.to(self.leave.weight)
            self.leave.bias[: codes.shape[1]] = codes.float().mean(0)
        self.leave.bias.sub_(self.leave.weight @ mean)
