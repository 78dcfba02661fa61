"""Transforms: which dimensions see which, and what reshapes or re-represents the data."""

from pushforward.transforms import masks
from pushforward.transforms.autoregressive import Autoregressive
from pushforward.transforms.categorical_encoding import CategoricalEncoding
from pushforward.transforms.chain import Chain
from pushforward.transforms.convolution import InvertibleConvolution, InvertibleConvolutionLU
from pushforward.transforms.coupling import Coupling
from pushforward.transforms.dequantization import Dequantization, VariationalDequantization
from pushforward.transforms.elementwise import ConditionalElementwise, Elementwise
from pushforward.transforms.integers import Integers
from pushforward.transforms.interlace import Interlace
from pushforward.transforms.inverse import Inverse
from pushforward.transforms.linear import Householder, MatrixExponential, Triangular, diagonal, lu, qr
from pushforward.transforms.logit import Logit
from pushforward.transforms.multipartite import Multipartite, bipartite, multipartite, quadripartite
from pushforward.transforms.normalisation import ActNorm, BatchNorm
from pushforward.transforms.one_hot_autoregressive import OneHotAutoregressive
from pushforward.transforms.permutation import Permutation, flip, random_permutation
from pushforward.transforms.planar import Planar
from pushforward.transforms.radial import Radial
from pushforward.transforms.squeeze import Squeeze
from pushforward.transforms.sylvester import Sylvester
from pushforward.transforms.transform import Bijection, Transform

__all__ = [
    "CategoricalEncoding",
    "OneHotAutoregressive",
    "Integers",
    "Interlace",
    "Multipartite",
    "bipartite",
    "multipartite",
    "quadripartite",
    "ActNorm",
    "Autoregressive",
    "BatchNorm",
    "Bijection",
    "Chain",
    "ConditionalElementwise",
    "Coupling",
    "Dequantization",
    "Elementwise",
    "Inverse",
    "InvertibleConvolution",
    "InvertibleConvolutionLU",
    "Logit",
    "Permutation",
    "Squeeze",
    "Transform",
    "VariationalDequantization",
    "flip",
    "masks",
    "random_permutation",
    "Householder",
    "MatrixExponential",
    "Triangular",
    "diagonal",
    "lu",
    "qr",
    "Planar",
    "Radial",
    "Sylvester",
]
