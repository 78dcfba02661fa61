"""Exporting: any composition of integer parts has an exact form, and one's own parts join by a registry."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pushforward as pf
from pushforward import spaces
from pushforward.codec import PortableFlow, compress, decompress, export, load_portable, save_portable
from pushforward.codec.entropy import AnsCoder
from pushforward.codec.exact.bases import IntegerBase
from pushforward.codec.exact.conditioners import export_network
from pushforward.codec.exact.exporting import Place, export_base, export_transform
from pushforward.codec.exact.fixedpoint import IntegerDenseNet
from pushforward.codec.exact.masses import export_mass
from pushforward.codec.exact.state import register_part
from pushforward.codec.exact.transforms import IntegerTransform, Reorder
from pushforward.distributions import Categorical, DiscretizedLogistic, DiscretizedLogisticMixture, GroupedDiscrete
from pushforward.errors import CodecError, UsageError
from pushforward.flows import FactorOut
from pushforward.networks import MLP, DenseMLP, DenseNet, ReZero
from pushforward.scalar import Affine, CyclicShift, RoundedShift
from pushforward.scalar.base import ScalarBijection
from pushforward.transforms import (
    Chain,
    Coupling,
    Integers,
    Inverse,
    Multipartite,
    Squeeze,
    Transform,
    masks,
    random_permutation,
)

LEVELS = 9
IMAGE, SQUEEZED = torch.Size([2, 4, 4]), torch.Size([8, 2, 2])


class ReluNet(nn.Sequential):
    """A ready-made network of convolutions, which takes a context beside its input."""

    def __init__(self, inputs: int, outputs: int, context: int | tuple[int, ...] = 0) -> None:
        channels = inputs + (context if isinstance(context, int) else context[0])
        super().__init__(
            nn.Sequential(nn.Conv2d(channels, 5, 3, padding=1), nn.ReLU(inplace=True), nn.Dropout2d(0.5)),
            nn.Conv2d(5, 4, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(4, outputs, 3, padding="same"),
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        seen = x if context is None else torch.cat([x, context], -3)
        return super().forward(seen.reshape(-1, *seen.shape[-3:])).reshape(*seen.shape[:-3], -1, *seen.shape[-2:])


dense = partial(DenseNet, hidden=4, blocks=1, unit=4.0)
dense_mlp = partial(DenseMLP, hidden=4, unit=4.0)
relu_mlp = partial(MLP, hidden=(6, 5), activation=nn.ReLU)
shift, cyclic = RoundedShift(2.0), CyclicShift(LEVELS, 2.0)
mixture = DiscretizedLogisticMixture(2, center=4.0, unit=4.0)


def _image_flow(split: pf.distributions.Distribution, rest: pf.distributions.Distribution) -> pf.Flow:
    return pf.Flow([Integers(LEVELS, event_dims=3), Squeeze()], FactorOut(split, rest))


def _half(network: object, context: int | tuple[int, ...] = 0) -> GroupedDiscrete:
    return GroupedDiscrete(mixture, (4, 2, 2), (1, 3), network, context)  # type: ignore[arg-type]


def _coupling(network: object, context: int | tuple[int, ...] = 0) -> Coupling:
    return Coupling(masks.channel((4, 2, 2)), shift, network, context)  # type: ignore[arg-type]


COMPOSITIONS = {
    "chain-in-chain": lambda: pf.Flow(
        [
            Chain([Integers(LEVELS), Chain([random_permutation(5), Coupling(masks.halves(5), shift, dense_mlp)])]),
            Coupling(~masks.halves(5), shift, dense_mlp),
        ],
        DiscretizedLogistic((5,), 2, center=4.0, unit=4.0),
    ),
    "circle": lambda: pf.Flow(
        [Integers(LEVELS), Coupling(~masks.halves(5), cyclic, dense_mlp), Inverse(_parts(cyclic))],
        Categorical((5,), LEVELS),
    ),
    "flow-in-flow": lambda: pf.Flow(
        [Integers(LEVELS)],
        pf.Flow([Coupling(masks.halves(5), shift, dense_mlp)], pf.Flow([random_permutation(5)], _vector_base())),
    ),
    "inverse": lambda: pf.Flow(
        [
            Integers(LEVELS),
            Inverse(Chain([random_permutation(5), Coupling(masks.alternating(5), shift, relu_mlp), _parts(shift)])),
        ],
        _vector_base(),
    ),
    "inverse-squeeze": lambda: pf.Flow(
        [Integers(LEVELS, event_dims=3), Squeeze(), Coupling(masks.channel(SQUEEZED), shift, ReluNet), _unsqueeze()],
        DiscretizedLogistic(IMAGE, 2, center=4.0, unit=4.0),
    ),
    "ready-made-network": lambda: pf.Flow(
        [Integers(LEVELS, event_dims=3), Squeeze(), Coupling(masks.channel(SQUEEZED), shift, ReluNet)],
        GroupedDiscrete(mixture, SQUEEZED, (3, 5), ReluNet),
    ),
    "ready-made-modules": lambda: pf.Flow(
        [
            Integers(LEVELS),
            Coupling(masks.halves(5), RoundedShift(0.5), nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 3))),
        ],
        pf.Flow([Coupling(~masks.halves(5), RoundedShift(0.5), nn.Linear(3, 2))], _vector_base()),
    ),
    "support-of-the-parts-alone": lambda: pf.Flow(
        [Coupling(masks.halves(5), CyclicShift(LEVELS), dense_mlp)], Categorical((5,), LEVELS)
    ),
    "split-that-sees-the-kept": lambda: _image_flow(_half(dense, context=(4, 2, 2)), _half(dense)),
    "split-that-does-not": lambda: _image_flow(_half(dense), _half(ReluNet)),
    "split-flow-with-context": lambda: _image_flow(
        pf.Flow([_coupling(ReluNet, (4, 2, 2)), Inverse(_coupling(dense, (4, 2, 2)))], _half(dense, context=(4, 2, 2))),
        _half(dense),
    ),
    "split-of-other-pixels": lambda: _image_flow(
        pf.Flow([Squeeze()], DiscretizedLogistic((16, 1, 1), center=4.0, unit=4.0)), _half(dense)
    ),
    "split-in-split": lambda: _image_flow(
        FactorOut(
            GroupedDiscrete(mixture, (3, 2, 2), (3,), dense, (5, 2, 2)),
            GroupedDiscrete(mixture, (1, 2, 2), (1,), dense, (4, 2, 2)),
            context=(4, 2, 2),
        ),
        _half(dense),
    ),
}


def _vector_base() -> pf.distributions.Distribution:
    return GroupedDiscrete(mixture, (5,), (2, 3), relu_mlp)


def _parts(operation: ScalarBijection) -> Transform:
    firsts = (None, operation, operation)
    return Multipartite((5,), (2, 2, 1), (operation, None, operation), dense_mlp, first_operations=firsts)


def _unsqueeze() -> Transform:
    return Inverse(Squeeze())


def _random(name: str) -> pf.Flow:
    """A flow whose zero-initialised layers have random weights, as training would leave them."""
    torch.manual_seed(0)
    flow = COMPOSITIONS[name]()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return flow.double().eval()


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_every_composition_codes_what_its_density_says(name, tmp_path):
    flow = _random(name)
    model = export(flow)
    x = torch.randint(LEVELS, (300, *flow.event_shape))
    with torch.no_grad():
        expected = -float(flow.log_prob(x.double()).sum()) / math.log(2)
    assert abs(model.bits(x) / expected - 1) < 0.003
    coder = AnsCoder()
    model.push(coder, x)
    assert torch.equal(model.pop(AnsCoder(coder.to_bytes()), len(x)), x)
    save_portable(model, tmp_path / "codec.safetensors")
    back = load_portable(tmp_path / "codec.safetensors")
    assert back.fingerprint == model.fingerprint
    assert torch.equal(back.pop(AnsCoder(coder.to_bytes()), len(x)), x)


@pytest.mark.parametrize(
    "network", [ReluNet(3, 4), ReZero(ReluNet(3, 4)), DenseNet(3, 4, hidden=5, blocks=2, center=2.0, unit=3.0)]
)
def test_exact_networks_compute_what_the_networks_do(network):
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    x = torch.randint(-8, 9, (6, 3, 5, 4))
    with torch.no_grad():
        exact = export_network(network.eval())(x, 10**6).permute(0, 3, 1, 2) * 2.0**-14
        assert exact.shape == (6, 4, 5, 4)
        assert float((exact - network(x.float())).abs().max()) < 0.003


def test_turned_transforms_are_inverses():
    torch.manual_seed(0)
    part = _parts(cyclic).double()
    for parameter in part.parameters():
        nn.init.normal_(parameter, std=0.5)
    with torch.no_grad():
        (step,) = export_transform(part, Place(torch.Size([5]), LEVELS))
    x, context = torch.randint(LEVELS, (500, 5, 1, 1)), torch.zeros(500, 0, 1, 1, dtype=torch.int64)
    z = step.forward(x, context, 64)
    assert not torch.equal(z, x)
    for turned in step.turned():
        z = turned.forward(z, context, 64)
    # Where a shift lies half-way between two integers, it rounds the other way; no other differs.
    assert int((z != x).sum()) <= 1


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 4, 1)), "Tanh"),
        (nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)), "ReLU between"),
        (nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()), "none behind"),
        (nn.Sequential(nn.Conv2d(4, 4, 3)), "zero padding"),
        (nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, stride=2)), "stride 1"),
        (nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")), "zero padding"),
        (pf.networks.GatedConvNet(4, 4), "GatedConvNet"),
    ],
)
def test_networks_without_an_exact_form_are_refused(network, reason):
    with pytest.raises(UsageError, match=reason):
        export_network(network)


def test_parts_without_an_exact_form_are_named_with_their_registry():
    plane = Coupling(masks.checkerboard((1, 4, 4)), shift, dense)
    for part, shape, reason in (
        (Coupling(masks.halves(4), Affine(), DenseMLP), (4,), "Affine.*export_operation.register"),
        (pf.transforms.Logit(event_dims=1), (4,), "Logit.*export_transform.register"),
        (plane, (1, 4, 4), "mask in the image plane"),
    ):
        with pytest.raises(UsageError, match=reason):
            export_transform(part, Place(torch.Size(shape), 4))
    with pytest.raises(UsageError, match=r"StandardNormal.*export_base.register"):
        export_base(pf.distributions.StandardNormal((2,)), Place(torch.Size([2]), 4))
    with pytest.raises(UsageError, match=r"object.*export_mass.register"):
        export_mass(object(), 4)
    with pytest.raises(UsageError, match="context"):
        export(pf.Flow([Integers(4)], GroupedDiscrete(mixture, (4,), (4,), DenseMLP, context=2)))


class Swap(Transform):
    """A transform of one's own: two dimensions change places."""

    domain = codomain = spaces.Integers(0, LEVELS - 1, (2,))

    def forward(self, x, context=None, generator=None):
        return x.flip(-1), x.new_zeros(x.shape[:-1])

    def inverse(self, z, context=None, generator=None):
        return self.forward(z)


class Negated(Transform):
    """A transform of one's own that no exact form has yet: it subtracts from the largest value."""

    domain = codomain = spaces.Integers(0, LEVELS - 1, (2,))

    def forward(self, x, context=None, generator=None):
        return LEVELS - 1 - x, x.new_zeros(x.shape[:-1])

    def inverse(self, z, context=None, generator=None):
        return self.forward(z)


class Doubled(nn.Module):
    """A network of one's own around a ready-made one."""

    def __init__(self, network: nn.Sequential) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.network(2 * x)


class Own(Categorical):
    """A base of one's own."""


@register_part
@dataclass
class IntegerNegation(IntegerTransform):
    """Its exact form, which files of models may hold."""

    largest: int

    def forward(self, x: Tensor, context: Tensor, pixels: int) -> Tensor:
        return self.largest - x

    def inverse(self, z: Tensor, context: Tensor, pixels: int) -> Tensor:
        return self.largest - z

    def turned(self) -> list[IntegerTransform]:
        return [self]


class Capped(Negated):
    """A transform of one's own whose exact form is none."""


@dataclass
class IntegerCap(IntegerNegation):
    """It leads no event of the largest value back."""

    def forward(self, x: Tensor, context: Tensor, pixels: int) -> Tensor:
        return x.clamp(max=self.largest - 1)

    def inverse(self, z: Tensor, context: Tensor, pixels: int) -> Tensor:
        return z


def test_what_would_not_read_back_is_never_written():
    """A reader of the file could not get it back: what one's own part cannot undo is stored plainly."""
    register_part(IntegerCap)
    export_transform.register(Capped, lambda part, place: [IntegerCap(place.levels - 1)])
    model = export(pf.Flow([Integers(LEVELS), Capped()], Categorical((2,), LEVELS)))
    for largest in (LEVELS, LEVELS - 1):
        rows = np.random.default_rng(0).integers(0, largest, (300, 2)).astype(np.uint8)
        assert np.array_equal(decompress(model, compress(model, rows)), rows)
    with pytest.raises(CodecError, match="no exact inverse"):
        model.push(AnsCoder(), torch.full((1, 2), LEVELS - 1))


def test_parts_of_ones_own_are_registered(tmp_path):
    export_transform.register(Swap, lambda part, place: [Reorder.from_transform(part, place.shape)])
    export_transform.register(Negated, lambda part, place: [IntegerNegation(place.levels - 1)])

    @export_network.register
    def _(network: Doubled) -> IntegerDenseNet:
        exact = export_network(network.network)
        exact.multiplier *= 2
        return exact

    @export_base.register
    def _(base: Own, place: Place) -> IntegerBase:
        return export_base.dispatch(Categorical)(base, place)

    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(1, 6), nn.ReLU(), nn.Linear(6, 1))
    coupling = Coupling(torch.tensor([True, False]), CyclicShift(LEVELS), lambda *sizes: Doubled(inner))
    flow = pf.Flow([Integers(LEVELS), Inverse(Swap()), Inverse(Negated()), coupling], Own((2,), LEVELS))
    with torch.no_grad():
        flow.base.parameters_per_element.copy_(torch.randn(2, LEVELS))
    model = export(flow)
    assert isinstance(model, PortableFlow)
    x = torch.cartesian_prod(torch.arange(LEVELS), torch.arange(LEVELS))
    with torch.no_grad():
        assert abs(model.bits(x) * math.log(2) / -float(flow.log_prob(x).sum()) - 1) < 0.003
    save_portable(model, tmp_path / "codec.safetensors")
    coder = AnsCoder()
    load_portable(tmp_path / "codec.safetensors").push(coder, x)
    assert torch.equal(model.pop(coder, len(x)), x)
    with pytest.raises(UsageError, match="name of its own"):
        register_part(type("IntegerNegation", (), {}))
