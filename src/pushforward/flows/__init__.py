"""Flows: a transform and a base together."""

from pushforward.flows.conditioned import ConditionedFlow
from pushforward.flows.factor_out import FactorOut
from pushforward.flows.flow import Flow

__all__ = ["ConditionedFlow", "FactorOut", "Flow"]
