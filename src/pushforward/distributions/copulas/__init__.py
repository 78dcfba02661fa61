"""Copulas, in normal scores: distributions whose dimensions, each by itself, are standard normal."""
