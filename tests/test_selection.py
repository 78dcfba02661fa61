"""Elements picked by index: compiled code has gradients of its own, which must be the plain ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward.kernels.selection import Selection, reorder


def with_gradients(function, *inputs: Tensor) -> tuple[Tensor, ...]:  # type: ignore[no-untyped-def]
    inputs = tuple(x.clone().requires_grad_() for x in inputs)
    value = function(*inputs)
    weights = torch.arange(value.numel(), dtype=value.dtype).view_as(value) + 1.0
    return (value, *torch.autograd.grad((weights * value).sum(), inputs))


@pytest.mark.parametrize("dim", [-3, -1, 1])
def test_compiled_selections_have_the_plain_gradients(dim: int) -> None:
    torch.compiler.reset()
    x = torch.randn(2, 5, 4, 5)
    selection = Selection(torch.tensor([4, 0, 3]), size=5, dim=dim)
    values = torch.randn_like(selection.pick(x))
    order = torch.tensor([3, 0, 4, 1, 2])
    for function, inputs in (
        (selection.pick, (x,)),
        (selection.put, (x, values)),
        (lambda x: reorder(x, order, torch.argsort(order), dim), (x,)),
    ):
        expected = with_gradients(function, *inputs)
        found = with_gradients(torch.compile(function, fullgraph=True, backend="aot_eager"), *inputs)
        for value, reference in zip(found, expected, strict=True):
            assert torch.equal(value, reference)


@pytest.mark.slow
def test_compiled_couplings_over_alternating_masks_keep_to_their_memory() -> None:
    # With the compiler's own gradient of an index, memory was corrupted here, which ended the process.
    torch.manual_seed(0)
    flow = pf.testing.randomise(pf.build("realnvp", features=7, layers=2))
    x = torch.randn(256, 7)
    parameters = list(flow.parameters())
    expected = torch.autograd.grad(flow.log_prob(x).sum(), parameters)
    for part in flow.transform.blocks():
        part.compile(dynamic=False)
    for _ in range(20):
        found = torch.autograd.grad(flow.log_prob(x).sum(), parameters)
    for value, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(value, reference, rtol=1e-3, atol=1e-3)
