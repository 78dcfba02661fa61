"""What a table's training shows is in the units of its scores."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from pushforward.sklearn import FlowDensity


@pytest.mark.parametrize("weighted", [False, True])
def test_progress_is_in_the_units_of_the_scores(weighted: bool, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"high": rng.normal(1000, 50, 1000), "low": rng.normal(0, 0.01, 1000)})
    weights = rng.uniform(0.5, 1.5, 1000) if weighted else None
    density = FlowDensity(max_steps=20, random_state=0, verbose=1).fit(frame, sample_weight=weights)
    shown = [float(value) for value in re.findall(r"train (-?[\d.]+) nats", "".join(capfd.readouterr()))]
    assert shown[0] == pytest.approx(-density.score(frame), abs=0.3)
