"""Flows that add a bounded perturbation to the identity: planar, radial, Sylvester."""
