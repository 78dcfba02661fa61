"""The law of extremes: nothing overflows, however large the numbers that a network emits."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.accuracy import Draws
from pushforward.distributions.base import Distribution
from pushforward.testing.compare import assert_finite
from pushforward.testing.maps import points_of_codomain
from pushforward.testing.parameters import randomise, seeded, told
from pushforward.transforms.base import Transform

FACTORS = (1.0, 10.0, 50.0, 200.0)
LARGE = (0.0, 1.0, -1.0, 1e3, 1e6, -1e6)
REMEDY = (
    "bound what the network emits, or leave this law out, with without=['extremes'], and check what you allow with "
    "check_extremes(..., factors=(1, 10))"
)


@told
def check_extremes(
    part: Transform | Distribution, x: Tensor, context: Tensor | None = None, factors: Sequence[float] = FACTORS
) -> None:
    """Finite events give finite outputs and finite gradients, with what the networks emit multiplied by each of the
    factors, and a part's own parameters as large, on the events, at zero and at a million.

    The law counts the networks' calls and compares what comes out, so that a part passes only where the factors arrive.
    """
    usual = []
    for factor in factors:
        scaled, calls = with_factor(part, factor)
        for name, events in _inputs(scaled, x, context).items():
            calls.clear()
            what = f"with parameters x {factor:g}, {name}"
            results = _run(scaled, events, context, what)
            silent = [found for found in networks_of(scaled) if not calls[found]]
            assert not silent, f"the network {silent[0]} was not called as a module, {what}: hooks would not hear it"
            if name == "the events":
                usual.append(results)
    if len(usual) > 1 and any(parameter.numel() for parameter in part.parameters()):
        pairs = zip(usual[0], usual[-1], strict=True)
        assert any(not torch.equal(*pair) for pair in pairs), (
            f"parameters x {factors[0]:g} and x {factors[-1]:g} give the same outputs: the factors do not arrive"
        )


def with_factor(part: nn.Module, factor: float) -> tuple[nn.Module, Counter[str]]:
    """Return a copy at random parameters whose networks' outputs are multiplied by ``factor``, as are the random part of
    its own parameters; and a count of the networks' calls, by their names."""
    scaled = copy.deepcopy(part).eval()
    calls: Counter[str] = Counter()
    generator = seeded(1)
    networks = networks_of(scaled)
    for name, network in networks.items():
        randomise(network, 0.5, generator)

        def multiply(module: nn.Module, inputs: object, outputs: Tensor, name: str = name) -> Tensor:
            calls[name] += 1
            return outputs * factor

        network.register_forward_hook(multiply)
    theirs = {id(parameter) for network in networks.values() for parameter in network.parameters()}
    with torch.no_grad():
        for parameter in scaled.parameters():
            if id(parameter) not in theirs:
                parameter.add_(torch.randn(parameter.shape, generator=generator).to(parameter) * factor)
    return scaled, calls


def networks_of(part: nn.Module, prefix: str = "") -> dict[str, nn.Module]:
    """Return the networks of a composition by name: the outermost modules with parameters in it that are neither
    transforms nor distributions.

    Example:
        >>> import pushforward as pf
        >>> layer = pf.transforms.Coupling(pf.transforms.masks.halves(4), pf.scalar.Affine(), pf.networks.MLP)
        >>> list(networks_of(pf.transforms.Chain([layer, layer])))
        ['parts.0.network']
    """
    found: dict[str, nn.Module] = {}
    for name, child in part.named_children():
        if isinstance(child, Transform | Distribution | nn.ModuleList | nn.ModuleDict):
            found |= networks_of(child, f"{prefix}{name}.")
        elif any(True for _ in child.parameters()):
            found[f"{prefix}{name}"] = child
    return {
        name: network
        for name, network in found.items()
        if network not in list(found.values())[: list(found).index(name)]
    }


def _inputs(part: nn.Module, x: Tensor, context: Tensor | None) -> dict[str, Tensor]:
    if isinstance(part, Distribution):
        return {
            "the events": part.sample((), context, generator=seeded())
            if context is not None
            else part.sample(len(x), generator=seeded())
        }
    assert isinstance(part, Transform)
    if not x.is_floating_point() or part.domain.discrete:
        return {"the events": x}
    large = {f"events of {value:g}": part.domain.nearest(torch.full_like(x, value)) for value in LARGE}
    return {"the events": x, **large}


def _run(part: nn.Module, x: Tensor, context: Tensor | None, what: str) -> tuple[Tensor, ...]:
    if isinstance(part, Distribution):
        return (_finite(part, x, (part.log_prob(x, context, seeded()),), ("log_prob",), what)[0],)
    assert isinstance(part, Transform)
    inputs = x.clone().requires_grad_() if x.is_floating_point() else x
    z, log_det = _finite(part, inputs, part(inputs, context, seeded()), ("z", "log_det"), what)
    if not part.draws & Draws.INVERSE:
        back = part.inverse(points_of_codomain(part, z), context)
        assert_finite(back[0], f"the values of inverse {what} ({REMEDY})")
        assert_finite(back[1], f"the log_det of inverse {what} ({REMEDY})")
    return z.detach(), log_det.detach()


def _finite(
    part: nn.Module, x: Tensor, values: tuple[Tensor, ...], names: tuple[str, ...], what: str
) -> tuple[Tensor, ...]:
    for value, name in zip(values, names, strict=True):
        assert_finite(value, f"{name} {what} ({REMEDY})")
    loss = torch.stack([value.sum() for value in values]).sum()
    wanted = [tensor for tensor in (x, *part.parameters()) if tensor.requires_grad]
    if wanted and loss.requires_grad:
        for gradient in torch.autograd.grad(loss, wanted, allow_unused=True):
            if gradient is not None:
                assert_finite(gradient, f"a gradient {what} ({REMEDY})")
    return values
