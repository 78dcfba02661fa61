"""Autoregressive structures: each dimension changes as the dimensions before it decide."""
