"""Continuous flows as codecs: local bits-back coding."""
