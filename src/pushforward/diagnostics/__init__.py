"""What a flow is made of and how well it does."""

from pushforward.diagnostics.straightness import straightness
from pushforward.diagnostics.summary import Summary, count_parameters, summary

__all__ = ["Summary", "count_parameters", "straightness", "summary"]
