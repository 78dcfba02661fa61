"""Lossless compression with a trained flow."""
