"""Every named model, with a context and an embedding too, can be pickled, copied, saved, and put together anew."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from model_helpers import IMAGES, NAMES, context_for, events, small, summary_network

import pushforward as pf

CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "plain": dict,
    "context": lambda: {"context": 3},
    "embedding": lambda: {"context": (1, 6, 6), "embedding": summary_network()},
}


def scores(flow: pf.Flow) -> torch.Tensor:
    torch.manual_seed(0)
    return flow.log_prob(events(flow, 5), context_for(flow, 5))


def through_a_file(flow: pf.Flow, folder: Path) -> pf.Flow:
    pf.save(flow, folder / "flow.safetensors")
    return pf.load(folder / "flow.safetensors")


def by_hand(flow: pf.Flow) -> pf.Flow:
    return pf.Flow(flow.transform, flow.base, context=flow.context or 0, embedding=flow.embedding)


def cases() -> list[Any]:
    """Each model in each case; the quick ones with an embedding, which has all of the others."""
    return [
        pytest.param(case, name, marks=pytest.mark.slow if case != "embedding" else ())
        for case in CASES
        for name in [*NAMES, "nice image", "realnvp image"]
    ]


@pytest.mark.parametrize("case, name", cases())
def test_a_model_and_its_parts_come_back(name: str, case: str, tmp_path: Path) -> None:
    recipe, _, image = name.partition(" ")
    flow = small(recipe, **({"shape": (1, 8, 8)} if image else {}), **CASES[case]())
    flow.initialise(events(flow, 20), context_for(flow, 20))
    expected = scores(flow)
    parts = by_hand(flow)
    assert parts.recipe is None and flow.recipe is not None
    for whole in (flow, parts):
        loaded = through_a_file(whole, tmp_path)
        for again in (pickle.loads(pickle.dumps(whole)), copy.deepcopy(whole), loaded, copy.deepcopy(loaded)):
            assert torch.equal(scores(again), expected)
            assert again.recipe is None if whole.recipe is None else again.recipe["model"] == recipe
            assert str(again) == str(whole)


@pytest.mark.parametrize("name", IMAGES)
def test_a_copy_learns_apart_from_its_original(name: str) -> None:
    flow = small(name, shape=(1, 8, 8), context=(1, 6, 6), embedding=summary_network())
    expected = scores(flow)
    other = copy.deepcopy(flow)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    assert torch.equal(scores(flow), expected)
    assert not torch.equal(scores(copy.deepcopy(other)), expected)
    assert other.recipe["embedding"] is other.embedding.network
