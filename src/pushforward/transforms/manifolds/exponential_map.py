"""Flows on spheres along gradients: every point follows the great circle that a scalar field's gradient points along."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.errors import ConvergenceError
from pushforward.kernels.iteration import State, count_true, derivatives_wanted, iterate, separate
from pushforward.networks.context import Context, vector_context
from pushforward.networks.factory import NetworkFactory
from pushforward.networks.mlp import MLP
from pushforward.scalar.arguments import check_counts
from pushforward.spaces import Sphere
from pushforward.transforms.base import Bijection
from pushforward.transforms.manifolds.fields import MAX_WEIGHT, ExponentialField, ScalarField
from pushforward.transforms.manifolds.geodesics import cosine_and_ratios, distance, exponential, logarithm, tangent
from pushforward.transforms.residual.parameters import GlobalParameters
