"""Pixels moved about: squeeze and interlacing."""
