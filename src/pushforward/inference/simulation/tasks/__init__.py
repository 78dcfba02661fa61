"""Simulators whose posteriors are known, the tasks of Lueckmann et al. (2021), arXiv:2101.04653."""

from pushforward.inference.simulation.tasks.bernoulli import BernoulliGLM
from pushforward.inference.simulation.tasks.gaussian import GaussianLinear, GaussianLinearUniform, GaussianMixture
from pushforward.inference.simulation.tasks.moons import TwoMoons
from pushforward.inference.simulation.tasks.slcp import SLCP
from pushforward.inference.simulation.tasks.task import Task

TASKS: dict[str, type[Task]] = {
    "two_moons": TwoMoons,
    "slcp": SLCP,
    "gaussian_linear": GaussianLinear,
    "gaussian_linear_uniform": GaussianLinearUniform,
    "gaussian_mixture": GaussianMixture,
    "bernoulli_glm": BernoulliGLM,
}
"""By their published names."""

__all__ = [
    "TASKS",
    "SLCP",
    "BernoulliGLM",
    "GaussianLinear",
    "GaussianLinearUniform",
    "GaussianMixture",
    "Task",
    "TwoMoons",
]
