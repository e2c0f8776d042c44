"""Exact tiling: the painting networks on pictures whose activations do not fit into memory.

The networks' own code runs unchanged on a :class:`~stylecli.tiling.lazy_map.LazyFeatureMap` in place of a tensor. It
records what is to be computed (``local.py``: everything that sees a bounded neighbourhood, with the halo that it needs)
and computes it a strip of rows at a time. What looks at the whole image (``whole.py``: means and deviations; the scans
of a network: ``tiling.py`` in its folder) is accumulated over all strips. So a tiled result is the untiled one, up to
rounding.

What is held for the whole image, in main memory, wherever the strips are computed:

- what a network marks as ``materialize`` (its features at the begin of a block, and those that it comes back to),
- what statistics are taken of (each once, until the next layer is held),
- inside a block with a scan: what goes into the scan (keys and values; inputs and dt_B_C), and what comes out;
- for every noise layer, one number for each place.

Everything else exists for one strip at a time: the wide layers at full size, copies in other layouts, hidden layers.
"""

from stylecli.tiling import local, whole  # what fills HANDLERS
from stylecli.tiling.lazy_map import Grid, LazyFeatureMap, sweep

__all__ = ["Grid", "LazyFeatureMap", "local", "sweep", "whole"]
