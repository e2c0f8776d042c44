"""The demo's pictures: present, deterministic, and not blank."""

from __future__ import annotations

import numpy as np
import pytest

from stylecli.samples import CONTENTS, READY, STYLES

ALL = {**CONTENTS, **STYLES, **READY}


@pytest.mark.parametrize("name", ALL)
def test_drawing_is_deterministic_and_full_of_detail(name: str) -> None:
    first = ALL[name](96)
    assert first.mode == "RGB" and first.size == (96, 96)
    assert first.tobytes() == ALL[name](96).tobytes()
    pixels = np.asarray(first).astype(float)
    assert pixels.std() > 25
    assert np.abs(np.diff(pixels, axis=1)).mean() > 1


def test_there_is_something_to_choose_from() -> None:
    assert len(CONTENTS) >= 3
    assert len(STYLES) >= 4
    assert len(READY) >= 16 and set(STYLES.values()) <= set(READY.values())
    assert not CONTENTS.keys() & STYLES.keys()
