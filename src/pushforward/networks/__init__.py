"""Networks: how the parameters are computed. Plain torch modules that know nothing of flows."""

from pushforward.networks.factory import NetworkFactory
from pushforward.networks.mlp import MLP

__all__ = ["MLP", "NetworkFactory"]
