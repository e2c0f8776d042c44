"""The style prior: what a phrase looks like, from a bank of artworks.

As unCLIP's prior (arXiv 2204.06125) it makes of a phrase's embedding what a picture's would be; but styles of artworks
are few and far apart, and a mean of many palettes is mud. So a phrase leans on artworks (own decision): its words name
labels (artists, movements, materials, words of titles, how a picture looks), artworks that have them get shares, one
is chosen, the most characteristic or, for another take, another, and those that resemble it make the style with it.
Words of light and colour then move the style along what these look like in the bank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylecli.models.style_mamba.style_code import StyleSpace
from stylecli.models.style_prior.config import StylePriorConfig
from stylecli.models.style_prior.phrase import Spot, spots, windows_of, words_of

# How much an artwork gains that has a label of this kind.
_WEIGHT = {"artist": 1.5, "movement": 1.2, "medium": 1.3, "kind": 1.2, "word": 0.5, "look": 0.35}
_LOOKED_FOR = 0.45  # the same of looks where no style is named
_NOBODY = 0.5  # what a texture, which nobody painted, loses there
_ENOUGH = (
    1.2  # spreads of what is looked for, beyond which more is no better: the extremes are fire and bare paint
)
_STYLES = ("artist", "movement", "medium", "kind")
_TEMPERATURE = 0.08
_KEPT, _LEAST = 600, 1e-6  # artworks that may be chosen; least share, of the largest
# Weights of what makes an artwork the one that a name brings to mind: it has what the others that are named have and
# all else has not; it is saturated (0.4 gave paintings 1.3 times the saturation of what was named, 0 some in brown and
# grey); its artist has a large share in what is named; it fits what is named.
_TYPICAL, _VIVID, _FAME, _STEEP = 0.6, 0.1, 0.8, 0.7
_FLOOR = 0.3  # of a common direction's length: what has nothing in common has no typical one
_OTHER, _SAME = (
    3.0,
    0.45,
)  # by how much a take should differ from those before; likeness of what is no other take
_CONTRAST, _SATURATION = 1, 2  # of the looks; what has hardly any contrast has no strokes to learn from
_PALEST = -0.6  # spreads of contrast; in a style with less than that a photograph vanishes
_UNSURE = 0.55  # likeness at which a word of light or colour asks for nothing
_TIED = 0.02  # labels as near as this to the surest ask for their looks, too
_NEAR = 0.3  # likeness from which an artwork resembles the chosen one
_LEADING = 3.0  # share of the chosen one, in those of all that resemble it: more blurs
_KINDRED = 4  # artworks that make one style
# Spreads from the mean that a word of light or colour with a weight of 1 asks for; the largest weight.
_LOOKS, _STRONGEST = 0.9, 1.8
_FAINT = 0.3  # least likeness of a label for a phrase that names nothing


@dataclass(frozen=True)
class Imagined:
    """A style vector (1, S), and what it leans on: names and shares, the largest first."""

    vector: Tensor
    leaned: tuple[tuple[str, float], ...]


def witness_picture() -> Tensor:
    """A picture (1, 3, 96, 96) of waves and edges, always the same."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    waves = torch.stack([torch.sin(x / 5 + y / 17), torch.cos(y / 7 - x / 23), torch.sin((x + y) / 3)])
    return torch.where(x > 48, waves, waves.sign() * 0.6)[None] * 0.4 + 0.5


def _likeness(a: Tensor, b: Tensor) -> Tensor:
    """Of styles (N, K) and (M, K): (N, M), 1 where they are the same, 0.14 at the usual distance."""
    return torch.exp(-torch.cdist(a, b).square() / a.shape[1])


def _spread_out(score: Tensor, near: Tensor, take: int) -> int:
    """The best by score (N,) but for ``take`` others that come before it: none resembles an earlier one (``near``, N x
    N) while there are such, and each lies as far from them as its score allows. After the last, the first again."""
    order: list[int] = []
    left, used = score.clone(), torch.zeros_like(score)
    for _ in range(min(take, len(score) - 1) + 1):
        if not left.isfinite().any():
            left = score + used
        best = int(left.argmax())
        order.append(best)
        used[best] = -torch.inf
        left = torch.where(near[best] > _SAME, -torch.inf, left - _OTHER * near[best])
    return order[take % len(order)]


class StylePrior(nn.Module):
    """Buffers, of N artworks and L labels:

    components (N, K): of their styles. members (N, M): numbers of their labels, -1 where there is no more.
    carried (L,): the number that artworks have for a label, another where several say the same.
    labels (L, D): embeddings, as ``reading`` (D, E) has them. looks (N, A): measures, standardised.
    wanted (L, A): looks that a label asks for. slopes (K, A): looks of a style, as a linear fit has them.
    witness (S,): style vector of :func:`witness_picture`, by which networks with other style vectors are told.
    """

    components: Tensor
    members: Tensor
    carried: Tensor
    labels: Tensor
    reading: Tensor
    looks: Tensor
    wanted: Tensor
    slopes: Tensor
    witness: Tensor

    def __init__(self, config: StylePriorConfig):
        super().__init__()
        self.config = config
        N, L, K, A = config.artworks, config.labels, config.components, config.axes
        lines = [line.split("\t") for line in config.names.split("\n")] if config.names else []
        if len(lines) != L or any(len(line) != 2 or line[0] not in _WEIGHT for line in lines):
            raise ValueError("names are not those of its labels")
        self.kinds, self.names = [line[0] for line in lines], [line[1] for line in lines]
        self._names = frozenset(self.names)
        self.space = StyleSpace(config.style, K)
        self.register_buffer("components", torch.zeros(N, K))
        self.register_buffer("members", torch.full((N, config.members), -1, dtype=torch.int16))
        self.register_buffer("carried", torch.zeros(L, dtype=torch.int16))
        self.register_buffer("labels", torch.zeros(L, config.read))
        self.register_buffer("reading", torch.zeros(config.read, config.embedding))
        self.register_buffer("looks", torch.zeros(N, A))
        self.register_buffer("wanted", torch.zeros(L, A))
        self.register_buffer("slopes", torch.zeros(K, A))
        self.register_buffer("witness", torch.zeros(config.style))

    @torch.no_grad()
    def imagine(self, phrase: str, encode: Callable[[list[str]], Tensor], seed: int = 0) -> Imagined:
        """The style of a phrase; ``encode`` gives embeddings (B, E) of texts. Another ``seed``: another take."""
        found = self.spots(phrase, encode)
        groups = self._groups(found)
        mixed, shares = [], self.components.new_zeros(len(self.components))
        for group, weight in groups:
            own = self._mixture(self.attention(group), seed)
            mixed.append((self._style(own), weight))
            shares += weight * own
        total = sum(weight for _, weight in mixed)
        style = torch.stack([style * (weight / total) for style, weight in mixed]).sum(0)
        style = self._with_contrast(self._with_looks(style, found))
        return Imagined(self.space.vector(style[None]), self._leaned(shares / total))

    def spots(self, phrase: str, encode: Callable[[list[str]], Tensor]) -> list[Spot]:
        """What a phrase names; where it names nothing, the labels that are nearest to all of it."""
        words = words_of(phrase)
        windows = windows_of(words, self._names)
        texts = [" ".join(words[i:j]) for i, j in windows]
        read = F.normalize(encode([phrase, *texts]).to(self.reading) @ self.reading.T, dim=1)
        likeness = read @ F.normalize(self.labels, dim=1).T  # (1 + windows, L)
        found = spots(words, windows, likeness[1:], self.kinds, self.names) if windows else []
        if any(self.kinds[n] != "look" for spot in found for n, _ in spot.labels):
            return found
        nearest = likeness[0].topk(min(4, len(self.names)))
        faint = zip(nearest.indices.tolist(), nearest.values.clamp(min=_FAINT).tolist(), strict=True)
        return [*found, Spot(phrase, tuple(faint))]

    def attention(self, found: Sequence[Spot]) -> Tensor:
        """Shares (N,) of artworks in what is named."""
        asked = self._asked(found)
        agreement = self.looks @ asked / asked.norm().clamp(min=1.0)  # spreads
        named = any(self._kind(spot) in _STYLES for spot in found)
        score = (_WEIGHT["look"] if named else _LOOKED_FOR) * agreement.clamp(-_ENOUGH, _ENOUGH)
        if not named:
            score = score - _NOBODY * (self.artists < 0)
        for spot in found:
            gain = self.labels.new_zeros(len(self.names) + 1)  # the last: no label
            for number, likeness in spot.labels:
                if self.kinds[number] != "look":
                    carried = int(self.carried[number])
                    gain[carried] = torch.maximum(
                        gain[carried], gain.new_tensor(_WEIGHT[self.kinds[number]] * likeness)
                    )
            score = score + gain[self.members.long()].amax(1)
        return (score / _TEMPERATURE).softmax(0)

    def _asked(self, found: Sequence[Spot]) -> Tensor:
        """Looks (A,) that are asked for: of each the strongest wish, and the strongest against it."""
        asked = [self.wanted.new_zeros(self.wanted.shape[1])]
        for spot in found:
            surest = max(likeness for _, likeness in spot.labels)
            sure = (surest - _UNSURE) / (1 - _UNSURE)
            asked += [sure * self.wanted[number] for number, x in spot.labels if x > surest - _TIED]
        wishes = torch.stack(asked)
        return (wishes.amax(0) + wishes.amin(0)).clamp(-_STRONGEST, _STRONGEST)

    def _groups(self, found: Sequence[Spot]) -> list[tuple[list[Spot], float]]:
        """Spots whose artworks make one style each, with their weights: one group where some artwork has all that is
        named, or only kinds are named ("psychedelic poster"); else one for each style ("a Monet of mosaic tiles"), with
        whatever is no style in each."""
        styles = [spot for spot in found if self._kind(spot) in _STYLES]
        rest = [spot for spot in found if spot not in styles]
        kinds = {self._kind(spot) for spot in styles}
        if len(styles) < 2 or kinds == {"kind"} or self._together(styles):
            return [(list(found), 1.0)]
        return [([spot, *rest], 1.0) for spot in styles]

    def _kind(self, spot: Spot) -> str:
        return self.kinds[max(spot.labels, key=lambda label: label[1])[0]]

    def _together(self, found: Sequence[Spot]) -> bool:
        """Whether some artwork has a label of each spot."""
        every = torch.ones(len(self.members), dtype=torch.bool, device=self.members.device)
        for spot in found:
            numbers = self.carried[[number for number, _ in spot.labels]]
            every &= torch.isin(self.members, numbers).any(1)
        return bool(every.any())

    def _mixture(self, attention: Tensor, take: int) -> Tensor:
        """Shares (N,) of the few artworks that make a style: one that is chosen, and those that resemble it."""
        most = attention.topk(min(_KEPT, len(attention)))
        kept = most.indices[most.values >= _LEAST * most.values[0]]
        own, weight = self.components[kept], attention[kept] / attention[kept].sum()
        near = _likeness(own, own)
        # Along what all that is named has in common, seen from the mean of all artworks; each without itself.
        common = (weight @ own - weight[:, None] * own) / (1 - weight[:, None]).clamp(min=1e-3)
        typical = (own * common).sum(1) / common.norm(dim=1).clamp(min=_FLOOR)
        vivid = self.looks[kept, _SATURATION].clamp(-2.5, 2.5)
        flat = (-1 - self.looks[kept, _CONTRAST]).clamp(min=0)
        artists = self.artists[kept]
        fame = ((artists[:, None] == artists) & (artists >= 0)).to(weight) @ weight
        score = (
            _STEEP * weight.log()
            + _FAME * (fame + 0.02).log()
            + _TYPICAL * typical
            + _VIVID * vivid
            - 2 * flat
        )
        chosen = _spread_out(score, near, take)
        kindred = weight * (near[chosen] - _NEAR).clamp(min=0)
        kindred[chosen] = 0
        kindred[chosen] = (_LEADING * kindred.sum()).clamp(min=1e-6)
        best = kindred.topk(min(_KINDRED, len(kindred)))
        shares = torch.zeros_like(attention)
        shares[kept[best.indices]] = best.values / best.values.sum()
        return shares

    @property
    def artists(self) -> Tensor:
        """Number of the label (N,) that is an artwork's artist; -1: nobody."""
        artist = torch.tensor([kind == "artist" for kind in self.kinds] + [False])  # the last: no label
        return torch.where(artist[self.members.long()], self.members, -1).amax(1)

    def _style(self, shares: Tensor) -> Tensor:
        """Components (K,) of a mixture, as far from the mean of all as its artworks are: a mean alone is dull."""
        mixed = shares @ self.components
        length = shares @ self.components.norm(dim=1)
        return mixed * (length / mixed.norm().clamp(min=1e-6))

    def _with_looks(self, style: Tensor, found: Sequence[Spot]) -> Tensor:
        """Components (K,) moved as little as gives the looks that are asked for, where they are not there yet."""
        asked = self._asked(found)
        about = asked.abs() > 0.05
        if not about.any():
            return style
        slopes = self.slopes[:, about]
        goal, now = _LOOKS * asked[about], style @ slopes
        lacking = torch.where(goal > 0, (goal - now).clamp(min=0), (goal - now).clamp(max=0))
        gram = slopes.T @ slopes
        ridge = 0.1 * gram.diagonal().mean() * torch.eye(len(gram)).to(gram)
        return style + slopes @ torch.linalg.solve(gram + ridge, lacking)

    def _with_contrast(self, style: Tensor) -> Tensor:
        """Components (K,) with as much contrast as a photograph needs to be seen."""
        slope = self.slopes[:, _CONTRAST]
        lacking = (_PALEST - style @ slope).clamp(min=0)
        return style + lacking / slope.square().sum() * slope

    def _shown(self, label: int) -> str:
        return self.names[label].title() if self.kinds[label] == "artist" else self.names[label]

    def _leaned(self, shares: Tensor) -> tuple[tuple[str, float], ...]:
        """What artworks with these shares are by, or of."""
        named: dict[str, float] = {}
        for number in shares.topk(min(8, len(shares))).indices.tolist():
            labels = [n for n in self.members[number].tolist() if n >= 0 and self.kinds[n] in _STYLES[:3]]
            if labels and float(shares[number]) > 0.01:
                name = ", ".join(self._shown(n) for n in labels[:2])
                named[name] = named.get(name, 0.0) + float(shares[number])
        return tuple(sorted(named.items(), key=lambda item: -item[1]))
