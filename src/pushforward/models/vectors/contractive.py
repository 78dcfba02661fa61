"""Contractive residual flows of vectors: activation normalisation and a residual layer, in turn."""

from __future__ import annotations

from pushforward.flows.flow import Flow
from pushforward.models.contexts import Conditioning
from pushforward.models.vectors.standardised import vector_flow
from pushforward.networks import NetworkFactory
from pushforward.transforms import ActNorm, Contractive, LogDeterminant, Transform


def contractive_vectors(
    features: int, network: NetworkFactory, log_det: LogDeterminant, layers: int, given: Conditioning
) -> Flow:
    """Residual layers of vectors, with a normalisation before each and behind the last."""
    parts: list[Transform] = []
    for _ in range(layers):
        parts += [ActNorm(features), Contractive(network, features, log_det, given.taken)]
    return vector_flow(features, [*parts, ActNorm(features)], given)
