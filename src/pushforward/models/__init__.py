"""The named models: short recipes of the parts, without mathematics.

Each is a function of plain options that returns a flow, ``pf.models.nsf(features=3)``; ``pf.build("nsf", features=3)``
is its alias for programs and the command line.
"""

from pushforward.models.autoencoders.vae import vae
from pushforward.models.autoencoders.vines import vine_autoencoder
from pushforward.models.categories import categorical_flow, discrete_flow
from pushforward.models.continuous import ffjord
from pushforward.models.contractive import densenet_flow, iresnet, residual_flow
from pushforward.models.couplings import nice, realnvp
from pushforward.models.graphs import graph_cnf
from pushforward.models.images.autoregressive import autoregressive_image_flow
from pushforward.models.images.flowpp import flowpp
from pushforward.models.images.multiscale import glow, multiscale
from pushforward.models.images.pixelrnn import pixelrnn
from pushforward.models.images.pixels import gated_pixelcnn, pixelcnn, pixelcnn_pp
from pushforward.models.images.tutorial import mnist_multiscale, mnist_simple, mnist_vardeq
from pushforward.models.integers import coarse_to_fine, idf, idf_vector
from pushforward.models.matching import cnf
from pushforward.models.mintnet import mintnet
from pushforward.models.registry import build, list_models, model, recipe_options
from pushforward.models.spheres import sphere_cnf, sphere_exponential, sphere_recursive
from pushforward.models.tori import torus, torus_cnf, torus_coupling
from pushforward.models.transformers import tarflow, transformer_flow
from pushforward.models.vectors.autoregressive import autoregressive, iaf, maf, naf, nsf, umnn
from pushforward.models.vectors.cdf import cdf_1d, cdf_2d, gaussianization
from pushforward.models.vectors.copulas import copula
from pushforward.models.vectors.coupling import coupling, nsf_coupling
from pushforward.models.vectors.cumulative import cdf_network
from pushforward.models.vectors.deep_density import deep_density, reconstruction_log_prob
from pushforward.models.vectors.in_turn import rbig, tabak_turner
from pushforward.models.vectors.nade import nade, rnade
from pushforward.models.vectors.rad import rad
from pushforward.models.vectors.residual import planar, radial, sylvester
from pushforward.models.vectors.stochastic import hamiltonian_vi, snf
from pushforward.models.vectors.tails import mtaf, tails
from pushforward.models.video import videoflow

__all__ = [
    "autoregressive",
    "autoregressive_image_flow",
    "build",
    "categorical_flow",
    "cdf_1d",
    "cdf_2d",
    "cdf_network",
    "cnf",
    "coarse_to_fine",
    "copula",
    "coupling",
    "deep_density",
    "densenet_flow",
    "discrete_flow",
    "ffjord",
    "flowpp",
    "gated_pixelcnn",
    "gaussianization",
    "glow",
    "graph_cnf",
    "hamiltonian_vi",
    "iaf",
    "idf",
    "idf_vector",
    "iresnet",
    "list_models",
    "maf",
    "mintnet",
    "mnist_multiscale",
    "mnist_simple",
    "mnist_vardeq",
    "model",
    "mtaf",
    "multiscale",
    "nade",
    "naf",
    "nice",
    "nsf",
    "nsf_coupling",
    "pixelcnn",
    "pixelcnn_pp",
    "pixelrnn",
    "planar",
    "rad",
    "radial",
    "rbig",
    "rnade",
    "realnvp",
    "recipe_options",
    "reconstruction_log_prob",
    "residual_flow",
    "snf",
    "sphere_cnf",
    "sphere_exponential",
    "sphere_recursive",
    "sylvester",
    "tabak_turner",
    "tails",
    "tarflow",
    "torus",
    "torus_cnf",
    "torus_coupling",
    "transformer_flow",
    "umnn",
    "vae",
    "videoflow",
    "vine_autoencoder",
]
