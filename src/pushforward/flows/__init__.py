"""Flows: a transform and a base together, and the named recipes."""

from pushforward.flows import couplings, discrete, images, vectors  # noqa: F401  (the recipes register themselves)
from pushforward.flows.conditioned import ConditionedFlow
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow
from pushforward.flows.registry import build, list_models, load, recipe_options, register, save

__all__ = [
    "ConditionedFlow",
    "FactorOut",
    "Flow",
    "build",
    "list_models",
    "load",
    "recipe_options",
    "register",
    "save",
]
