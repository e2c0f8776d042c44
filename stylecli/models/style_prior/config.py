"""Size of a style prior, and the names in it; stored as JSON in its weights file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stylecli.models.config import JsonConfig


@dataclass(frozen=True)
class StylePriorConfig(JsonConfig):
    """All that is needed to build it.

    Attributes:
        style: length of a style vector. components: of its principal components that are kept of every artwork.
        embedding: width of a phrase's embedding. read: of its principal components that labels are compared in.
        artworks, labels, members, axes: how many artworks there are, labels, labels of one artwork at most, and
            measures of how an artwork looks.
        names: of the labels, one a line: its kind, a tab, the label.
    """

    LIMITS: ClassVar = {"members": (1, 1024), "axes": (1, 1024)}

    style: int = 2400
    components: int = 112
    embedding: int = 384
    read: int = 96
    artworks: int = 0
    labels: int = 0
    members: int = 8
    axes: int = 24
    names: str = ""
