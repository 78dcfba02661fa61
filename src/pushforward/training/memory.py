"""Training in constant memory: every chain of a flow computes activations anew in the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pushforward.flows.flow import Flow
from pushforward.transforms.chain import Chain

MEMORIES = ("ordinary", "constant")


def chains(flow: Flow) -> list[Chain]:
    """The chains of a flow: those of each of its scales too."""
    return [part for part in flow.modules() if isinstance(part, Chain)]


@contextmanager
def recomputing(flow: Flow, memory: str) -> Iterator[None]:
    """Let a flow's chains recompute, where the memory is to be constant."""
    before = [(chain, chain.recompute) for chain in chains(flow)]
    for chain, own in before:
        chain.recompute = own or memory == "constant"
    try:
        yield
    finally:
        for chain, own in before:
            chain.recompute = own
