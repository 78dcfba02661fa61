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
from pushforward.transforms.stochastic.kernel import Kernel

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
    factors, and a part's own parameters as large, on the events, at zero and at a million. What a network bounds
    itself, as one of a stated Lipschitz constant does, is no longer bounded behind it: its parameters are multiplied.

    The law counts the networks' calls, and compares what comes out with what does when they emit zeros, so that a part
    passes only where the factors arrive.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_extremes(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    arrived = []
    silenced = _values(with_factor(part, 0.0)[0], x, context)
    for factor in factors:
        scaled, calls = with_factor(part, factor)
        for name, events in _inputs(scaled, x, context).items():
            calls.clear()
            what = f"with parameters x {factor:g}, {name}"
            _assert_finite(scaled, events, context, what)
            # Of what bounds itself no hook is needed: the parameters are as large as the factor says.
            needed = {found for found, network in networks_of(scaled).items() if not bounds_itself(network)}
            silent = sorted(found for found in needed if not calls[found])
            assert not silent, f"the network {silent[0]} was not called as a module, {what}: hooks would not hear it"
        _assert_finite_inverse(scaled, x, context, f"with parameters x {factor:g}")
        pairs = zip(_values(scaled, x, context), silenced, strict=True)
        arrived.append(any(not torch.equal(*pair) for pair in pairs))
    assert any(arrived) or not any(parameter.numel() for parameter in part.parameters()), (
        "nothing changed when what the networks emit, and the parameters, were multiplied: the factors do not arrive"
    )


def with_factor(part: nn.Module, factor: float) -> tuple[nn.Module, Counter[str]]:
    """Return a copy at random parameters whose networks' outputs are multiplied by ``factor``, as is the random part of
    its own parameters; and a count of the networks' calls, by their names."""
    scaled = copy.deepcopy(part).eval()
    calls: Counter[str] = Counter()
    generator = seeded(1)
    networks = networks_of(scaled)
    for name, network in networks.items():
        randomise(network, 0.5, generator)

        def multiply(module: nn.Module, inputs: object, outputs: Tensor, name: str = name) -> Tensor:
            calls[name] += 1
            return outputs if bounds_itself(module) else outputs * factor

        network.register_forward_hook(multiply)
        if bounds_itself(network):
            multiply_parameters(network, factor)
    theirs = {id(parameter) for network in networks.values() for parameter in network.parameters()}
    with torch.no_grad():
        for parameter in scaled.parameters():
            if id(parameter) not in theirs:
                parameter.add_(torch.randn(parameter.shape, generator=generator).to(parameter) * factor)
    return scaled, calls


def bounds_itself(network: nn.Module) -> bool:
    """Whether a network states a bound that its outputs keep at all parameters."""
    return getattr(network, "lipschitz", None) is not None


@torch.no_grad()
def multiply_parameters(network: nn.Module, factor: float) -> None:
    """Multiply all parameters of a network."""
    for parameter in network.parameters():
        parameter.mul_(factor)


def networks_of(part: nn.Module, prefix: str = "") -> dict[str, nn.Module]:
    """Return the networks of a composition by name: the outermost modules with parameters in it that are neither
    transforms nor distributions, nor kernels of stochastic layers.

    Raises:
        AttributeError: if this is no module.

    Example:
        >>> import pushforward as pf
        >>> layer = pf.transforms.Coupling(pf.transforms.masks.halves(4), pf.scalar.Affine(), pf.networks.MLP)
        >>> list(networks_of(pf.transforms.Chain([layer, layer])))
        ['parts.0.network']
    """
    found: dict[str, nn.Module] = {}
    for name, child in part.named_children():
        if isinstance(child, Transform | Distribution | Kernel | nn.ModuleList | nn.ModuleDict):
            inner = networks_of(child, f"{prefix}{name}.")
        elif isinstance(child, nn.ParameterList | nn.ParameterDict) or not list(child.parameters()):
            continue
        else:
            inner = {f"{prefix}{name}": child}
        found |= {place: network for place, network in inner.items() if network not in list(found.values())}
    return found


def _inputs(part: nn.Module, x: Tensor, context: Tensor | None) -> dict[str, Tensor]:
    if isinstance(part, Distribution):
        sample_shape = len(x) if context is None else ()
        return {"the events": part.sample(sample_shape, context, generator=seeded())}
    assert isinstance(part, Transform)
    if not x.is_floating_point() or part.domain.discrete:
        return {"the events": x}
    large = {f"events of {value:g}": part.domain.nearest(torch.full_like(x, value)) for value in LARGE}
    return {"the events": x, **large}


def _values(part: nn.Module, x: Tensor, context: Tensor | None) -> tuple[Tensor, ...]:
    with torch.no_grad():
        if isinstance(part, Distribution):
            return (part.log_prob(x, context, seeded()),)
        return part(x, context, seeded())  # type: ignore[no-any-return]


def _assert_finite(part: nn.Module, x: Tensor, context: Tensor | None, what: str) -> None:
    inputs = x.clone().requires_grad_() if x.is_floating_point() else x
    if isinstance(part, Distribution):
        _assert_finite_with_gradients(part, inputs, {"log_prob": part.log_prob(inputs, context, seeded())}, what)
        return
    assert isinstance(part, Transform)
    z, log_det = part(inputs, context, seeded())
    _assert_finite_with_gradients(part, inputs, {"z": z, "log_det": log_det}, what)


def _assert_finite_inverse(part: nn.Module, x: Tensor, context: Tensor | None, what: str) -> None:
    if isinstance(part, Transform) and not part.draws & Draws.INVERSE:
        with torch.no_grad():
            latents = points_of_codomain(part, part.encode(x, context, seeded()))
            back, log_det = part.inverse(latents, context)
        assert_finite(back, f"the values of inverse {what} ({REMEDY})")
        assert_finite(log_det, f"the log_det of inverse {what} ({REMEDY})")


def _assert_finite_with_gradients(part: nn.Module, x: Tensor, values: dict[str, Tensor], what: str) -> None:
    for name, value in values.items():
        assert_finite(value, f"{name} {what} ({REMEDY})")
    loss = torch.stack([value.sum() for value in values.values()]).sum()
    wanted = [tensor for tensor in (x, *part.parameters()) if tensor.requires_grad]
    if wanted and loss.requires_grad:
        for gradient in torch.autograd.grad(loss, wanted, allow_unused=True):
            if gradient is not None:
                assert_finite(gradient, f"a gradient {what} ({REMEDY})")
