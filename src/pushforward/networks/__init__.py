"""Networks: how the parameters are computed. Plain torch modules that know nothing of flows."""

from pushforward.first_calls import make_first_calls
from pushforward.networks.attention_convnet import AttentionConvNet
from pushforward.networks.convolution import masked_channels
from pushforward.networks.densenet import DenseMLP, DenseNet, ReZero
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.gated_convnet import GatedConvNet
from pushforward.networks.glow_convnet import GlowConvNet
from pushforward.networks.made import MADE, MaskedNetwork, ResidualMADE
from pushforward.networks.mlp import MLP
from pushforward.networks.one_hot_made import OneHotMADE

__all__ = [
    "OneHotMADE",
    "AttentionConvNet",
    "GatedConvNet",
    "GlowConvNet",
    "MLP",
    "masked_channels",
    "DenseMLP",
    "DenseNet",
    "MADE",
    "MaskedNetwork",
    "NetworkFactory",
    "ReZero",
    "ResidualMADE",
]

make_first_calls()
