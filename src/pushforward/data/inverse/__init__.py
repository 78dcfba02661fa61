"""Inverse problems whose answers are known or can be found: to try methods on, and to compare them."""

from pushforward.data.inverse.ballistics import InverseBallistics
from pushforward.data.inverse.kinematics import InverseKinematics
from pushforward.data.inverse.octagon import Octagon
from pushforward.data.inverse.problem import InverseProblem

__all__ = ["InverseBallistics", "InverseKinematics", "InverseProblem", "Octagon"]
