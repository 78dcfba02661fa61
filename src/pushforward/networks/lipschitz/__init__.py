"""Networks with a Lipschitz constant that is bounded at every value of their parameters."""

from pushforward.networks.lipschitz.activations import CLipSwish, LipschitzELU, LipschitzSine, LipSwish
from pushforward.networks.lipschitz.convolution import LipschitzConvolution
from pushforward.networks.lipschitz.images import LipschitzConvNet, LipschitzDenseNet
from pushforward.networks.lipschitz.linear import LipschitzLinear
from pushforward.networks.lipschitz.spectral import normalised_once
from pushforward.networks.lipschitz.vectors import LipschitzDenseMLP, LipschitzMLP

__all__ = [
    "CLipSwish",
    "LipSwish",
    "LipschitzConvNet",
    "LipschitzConvolution",
    "LipschitzDenseMLP",
    "LipschitzDenseNet",
    "LipschitzELU",
    "LipschitzLinear",
    "LipschitzMLP",
    "LipschitzSine",
    "normalised_once",
]
