"""Whether posteriors can be believed: calibration, coverage, two-sample tests, and checks of what was observed."""

from pushforward.diagnostics.posteriors.coverage import Coverage, expected_coverage, tarp
from pushforward.diagnostics.posteriors.kernel_discrepancy import Discrepancy, mmd
from pushforward.diagnostics.posteriors.local_two_samples import LocalTest, local_c2st
from pushforward.diagnostics.posteriors.predictive import PredictiveCheck, posterior_predictive
from pushforward.diagnostics.posteriors.rank_calibration import RankCalibration, sbc
from pushforward.diagnostics.posteriors.simulation_gap import Misspecification, misspecification
from pushforward.diagnostics.posteriors.two_samples import TwoSampleTest, c2st

__all__ = [
    "Coverage",
    "Discrepancy",
    "LocalTest",
    "Misspecification",
    "PredictiveCheck",
    "RankCalibration",
    "TwoSampleTest",
    "c2st",
    "expected_coverage",
    "local_c2st",
    "misspecification",
    "mmd",
    "posterior_predictive",
    "sbc",
    "tarp",
]
