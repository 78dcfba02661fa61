"""Pixels moved about: squeeze, interlacing and patches."""
