"""Damaged pictures are done or named: no traceback, no hang. ``STYLIZE_FUZZ=2000`` tries that many."""

from __future__ import annotations

import os
import sys
from collections import Counter

import fuzz_kit
import numpy as np
import pytest

from stylecli.media.formats import develops

SEED = int(os.environ.get("STYLIZE_FUZZ_SEED", "27"))
COUNT = int(os.environ.get("STYLIZE_FUZZ", "60"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGALRM")
def test_damaged_pictures_are_done_or_named(capfd: pytest.CaptureFixture[str]) -> None:
    sound = fuzz_kit.seeds()
    random = np.random.default_rng(SEED)
    outcomes: Counter[str] = Counter()
    failed = []
    for number in range(COUNT):
        name = list(sound)[number % len(sound)]
        data = fuzz_kit.damaged(sound[name], random)
        try:
            outcomes["done" if fuzz_kit.outcome(name, data) == "done" else "named"] += 1
        except Exception as error:
            failed.append(f"{number} {name}: {type(error).__name__}: {error}")
    said = capfd.readouterr()
    with capfd.disabled():
        if COUNT > 60:
            sys.stdout.write("\n".join([str(dict(outcomes)), *failed, said.err[:2000], ""]))
    assert not failed
    assert said.err == "" and said.out == ""
    assert outcomes["done"] > COUNT // 10 and outcomes["named"] > COUNT // 10


def test_sound_pictures_are_done() -> None:
    for name, data in fuzz_kit.seeds().items():
        if name == "camera.dng":  # a sensor without numbers: LibRaw may make something of it
            assert "a raw file of Apple" in fuzz_kit.outcome(name, data) or develops()
        else:
            assert fuzz_kit.outcome(name, data).startswith("done"), name
