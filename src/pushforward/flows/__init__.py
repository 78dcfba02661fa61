"""Flows: a transform and a base together."""

from pushforward.flows.conditioned import ConditionedFlow
from pushforward.flows.denoising import denoised, sample_denoised
from pushforward.flows.ex_post import ExPostFlow
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow
from pushforward.flows.guidance import guided
from pushforward.flows.saving import load, save

__all__ = ["ConditionedFlow", "ExPostFlow", "FactorOut", "Flow", "load", "save"]
__all__ = ["ConditionedFlow", "FactorOut", "Flow", "denoised", "guided", "load", "sample_denoised", "save"]
