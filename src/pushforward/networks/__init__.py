"""Networks: how the parameters are computed. Plain torch modules that know nothing of flows."""

from pushforward.kernels.first_calls import make_first_calls
from pushforward.networks.attention.causal import CausalTransformer
from pushforward.networks.autoencoders.convolution import GatedConvDecoder, GatedConvEncoder
from pushforward.networks.autoencoders.dense import DenseDecoder, DenseEncoder
from pushforward.networks.causal import CausalNetwork
from pushforward.networks.clipped import Clipped
from pushforward.networks.dense import DenseMLP, DenseNet, ReZero, Rezeroed
from pushforward.networks.embeddings.cell_middles import CellMiddles, NearestCellMiddle
from pushforward.networks.embeddings.dropped import DroppedContext
from pushforward.networks.factory import Joined, NetworkFactory
from pushforward.networks.graphs.edges import EdgeNetwork
from pushforward.networks.graphs.nodes import NodeNetwork
from pushforward.networks.guided import Guided
from pushforward.networks.images.attention import AttentionConvNet
from pushforward.networks.images.convolution import MaskedChannels
from pushforward.networks.images.gated import GatedConvNet
from pushforward.networks.images.glow import GlowConvNet
from pushforward.networks.lipschitz import (
    CLipSwish,
    LipschitzConvNet,
    LipschitzConvolution,
    LipschitzDenseMLP,
    LipschitzDenseNet,
    LipschitzELU,
    LipschitzLinear,
    LipschitzMLP,
    LipschitzSine,
    LipSwish,
    normalised_once,
)
from pushforward.networks.masked.convolution import MaskedConvolution
from pushforward.networks.masked.deep_nade import DeepNADE
from pushforward.networks.masked.images.base import PixelNetwork
from pushforward.networks.masked.images.gated import GatedPixelCNN
from pushforward.networks.masked.images.pixelcnn import PixelCNN
from pushforward.networks.masked.images.pixelcnn_pp import PixelCNNPlusPlus
from pushforward.networks.masked.images.raster import RasterNetwork
from pushforward.networks.masked.made import MADE, MaskedNetwork, ResidualMADE
from pushforward.networks.masked.nade import NADE, CategoricalNADE, RescaledNADE
from pushforward.networks.masked.one_hot import OneHotMADE
from pushforward.networks.masked.wavenet import WaveNet
from pushforward.networks.mlp import MLP, DetachedMLP
from pushforward.networks.recurrent.diagonal import DiagonalBiLSTM
from pushforward.networks.recurrent.row import RowLSTM
from pushforward.networks.velocity.base import Velocity, VelocityFactory
from pushforward.networks.velocity.circles import CircleVelocity
from pushforward.networks.velocity.convolution import ConcatSquashConvNet
from pushforward.networks.velocity.dense import ConcatSquashMLP, VelocityMLP
from pushforward.networks.velocity.residual import ResidualVelocity
from pushforward.networks.velocity.tangent import TangentVelocity
from pushforward.networks.velocity.waves import WaveVelocity

__all__ = [
    "CellMiddles",
    "NearestCellMiddle",
    "CLipSwish",
    "LipschitzConvNet",
    "LipschitzConvolution",
    "LipschitzDenseMLP",
    "LipschitzDenseNet",
    "LipschitzELU",
    "LipschitzLinear",
    "LipschitzMLP",
    "LipschitzSine",
    "LipSwish",
    "normalised_once",
    "ConcatSquashConvNet",
    "ConcatSquashMLP",
    "Velocity",
    "VelocityFactory",
    "ResidualVelocity",
    "CircleVelocity",
    "TangentVelocity",
    "VelocityMLP",
    "WaveVelocity",
    "NADE",
    "CategoricalNADE",
    "DeepNADE",
    "RescaledNADE",
    "WaveNet",
    "EdgeNetwork",
    "NodeNetwork",
    "OneHotMADE",
    "DiagonalBiLSTM",
    "GatedPixelCNN",
    "PixelCNN",
    "PixelCNNPlusPlus",
    "PixelNetwork",
    "RasterNetwork",
    "RowLSTM",
    "AttentionConvNet",
    "GatedConvNet",
    "GlowConvNet",
    "DetachedMLP",
    "MLP",
    "Clipped",
    "MaskedChannels",
    "MaskedConvolution",
    "Joined",
    "Rezeroed",
    "DenseDecoder",
    "DenseEncoder",
    "GatedConvDecoder",
    "GatedConvEncoder",
    "DenseMLP",
    "DenseNet",
    "MADE",
    "CausalNetwork",
    "DroppedContext",
    "Guided",
    "CausalTransformer",
    "MaskedNetwork",
    "NetworkFactory",
    "ReZero",
    "ResidualMADE",
]

make_first_calls()
