"""Coupling: some parts of an event decide how the others change."""
