"""Flow matching and what it is made of: paths, pairings, times."""

from pushforward.training.objectives.flow_matching.objective import FlowMatching
from pushforward.training.objectives.flow_matching.pairing import (
    ConditionalOptimalTransport,
    Independent,
    OptimalTransport,
    Pairing,
    WithinContexts,
)
from pushforward.training.objectives.flow_matching.paths import (
    Geodesic,
    Linear,
    ProbabilityPath,
    Trigonometric,
    WrappedLine,
)
from pushforward.training.objectives.flow_matching.times import LogitNormalTimes, PowerTimes, Times, UniformTimes

__all__ = [
    "ConditionalOptimalTransport",
    "FlowMatching",
    "Geodesic",
    "Independent",
    "Linear",
    "LogitNormalTimes",
    "OptimalTransport",
    "Pairing",
    "ProbabilityPath",
    "PowerTimes",
    "Times",
    "Trigonometric",
    "UniformTimes",
    "WithinContexts",
    "WrappedLine",
]
