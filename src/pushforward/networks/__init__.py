"""Networks: how the parameters are computed. Plain torch modules that know nothing of flows."""

from pushforward.networks.densenet import DenseMLP, DenseNet, ReZero
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.made import MADE, MaskedNetwork, ResidualMADE
from pushforward.networks.mlp import MLP

__all__ = ["MLP", "DenseMLP", "DenseNet", "MADE", "MaskedNetwork", "NetworkFactory", "ReZero", "ResidualMADE"]
