"""``Stylizer(photo, mask=...)``: masks and photographs of every kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from stylecli.errors import UsageError
from stylecli.paint.regions import FULL, as_mask, fitted, lay_like

HALF = np.tile(np.arange(8) >= 4, (6, 1))  # (H, W): the right half is painted


@pytest.mark.parametrize(
    "given",
    [
        HALF,
        HALF.astype(np.uint8) * 255,
        HALF.astype(np.uint16) * FULL,
        HALF.astype(np.float64),
        np.repeat(HALF[..., None], 3, 2).astype(np.float32),
        Image.fromarray(HALF.astype(np.uint8) * 255),
        Image.fromarray(HALF.astype(np.uint16) * np.uint16(FULL)),
        Image.fromarray(HALF),
        Image.fromarray(np.dstack([np.zeros((6, 8, 3), np.uint8), HALF.astype(np.uint8) * 255])),
    ],
    ids=["bool", "uint8", "uint16", "float64", "colours", "L", "I;16", "1", "alpha"],
)
def test_a_mask_is_of_any_kind(given):
    assert (as_mask(given) == HALF * np.uint16(FULL)).all()


@pytest.mark.parametrize("given", [np.zeros(5), np.zeros((4, 4), np.int64), np.zeros((4, 4, 2), np.uint8)])
def test_what_is_no_mask_is_refused(given):
    with pytest.raises(UsageError, match="a mask is"):
        as_mask(given)


@pytest.mark.parametrize("kind", ["pillow", "uint8", "uint16", "float32", "tensor", "tensors"])
def test_the_result_is_of_the_photographs_kind(kind):
    random = np.random.default_rng(0)
    photo, painted = random.random((2, 12, 16, 3), np.float32)
    make = {
        "pillow": lambda one: Image.fromarray((one * 255).astype(np.uint8)),
        "uint8": lambda one: (one * 255).astype(np.uint8),
        "uint16": lambda one: (one * 65535).astype(np.uint16),
        "float32": lambda one: one,
        "tensor": lambda one: torch.from_numpy(one).permute(2, 0, 1),
        "tensors": lambda one: torch.from_numpy(one).permute(2, 0, 1)[None].repeat(2, 1, 1, 1),
    }[kind]
    before, after = make(photo), make(painted)
    result = lay_like(after, HALF.astype(np.uint16) * FULL, before)
    assert type(result) is type(before)
    rows = [np.asarray(one) for one in (before, after, result)]
    if kind.startswith("tensor"):
        rows = [np.moveaxis(one, -3, -1) for one in rows]
    before, after, result = rows
    share = fitted(HALF.astype(np.uint16) * np.uint16(FULL), 12, 16)[0]
    assert (result[..., share == 0, :] == before[..., share == 0, :]).all() and (share == 0).sum() > 5
    assert (result[..., share == FULL, :] == after[..., share == FULL, :]).all() and (share == FULL).sum() > 5
