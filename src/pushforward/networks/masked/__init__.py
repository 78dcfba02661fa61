"""Masked networks: what they say of an input depends on the inputs before it."""
