"""Velocity fields of continuous flows, ``v(time, x, context)``."""
