"""Probability masses on integers and categories."""
