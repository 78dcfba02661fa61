"""Layers that draw in both directions: moves of Markov kernels, weighed by their way back."""
