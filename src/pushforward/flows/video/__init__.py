"""Clips: latents of each frame given those of the frames before."""
