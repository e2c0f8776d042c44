"""Learning rates over a run."""

import pytest

from stylecli.training.schedule import cosine


def test_learning_rate_warms_up_holds_and_falls():
    rates = [cosine(1.0, s, 1000, 0.5) for s in (0, 99, 499, 750, 999)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[1] == rates[2] == 1.0
    assert 0.4 < rates[3] < 0.6
    assert rates[4] < 0.03
