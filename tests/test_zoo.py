"""Wrong parts are caught by the law that names their fault; the sound ones beside them obey all laws."""

from __future__ import annotations

import math

import pytest
import torch
import zoo
from torch import Tensor, nn

import pushforward as pf
from pushforward import testing
from pushforward.distributions import Distribution
from pushforward.scalar import Affine, ScalarBijection
from pushforward.spaces import Interval, Reals


@pytest.mark.parametrize("name", zoo.ZOO)
def test_the_law_that_names_the_fault_catches_it(name: str) -> None:
    animal = zoo.ZOO[name]
    with pytest.raises(AssertionError, match=f"^check_{animal.law}: "):
        testing.TRANSFORM_LAWS[animal.law](animal.wrong(), animal.x, animal.context)
    with pytest.raises(AssertionError, match=r"^check_"):
        testing.check_transform(animal.wrong(), animal.x, animal.context)


SOUND = {animal.sound: animal for animal in zoo.ZOO.values() if "lambda" not in animal.sound.__qualname__}


@pytest.mark.parametrize("animal", SOUND.values(), ids=[sound.__name__ for sound in SOUND])
def test_the_sound_part_obeys_all_laws(animal: zoo.Animal) -> None:
    x = animal.x if animal.law != "spaces" else zoo.TWO
    x = zoo.normal(6, *animal.sound().event_shape) if x.shape[1:] != animal.sound().event_shape else x
    testing.check_transform(animal.sound(), x, animal.context)


def test_the_sound_multiples_obey_all_laws() -> None:
    testing.check_transform(zoo.Multiples([2.0, 3.0]), zoo.TWO)


class Tanhed(ScalarBijection):
    """``z = x exp(tanh a) + b``, the example of a map that is the identity at the initial parameters."""

    num_parameters = 2

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        log_scale = parameters[..., 0].tanh()
        return x * log_scale.exp() + parameters[..., 1], log_scale

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        log_scale = parameters[..., 0].tanh()
        return (z - parameters[..., 1]) * (-log_scale).exp(), -log_scale


class NoDerivative(Tanhed):
    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(x, parameters)[0], torch.zeros_like(x)

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return super().inverse(z, parameters)[0], torch.zeros_like(z)


class Adding(Tanhed):
    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        log_scale = parameters[..., 0].tanh()
        return (z + parameters[..., 1]) * (-log_scale).exp(), -log_scale


class Decreasing(Affine):
    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(-x, parameters)

    def encode(self, x: Tensor, parameters: Tensor) -> Tensor:
        return self.forward(x, parameters)[0]


class SummedDerivative(Affine):
    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        z, log_dz = super().forward(x, parameters)
        return z, log_dz.sum()


class SinhArcsinh(ScalarBijection):
    """``z = sinh(exp(a) arcsinh(x) + b)``, right, and beyond float32 where a network emits hundreds."""

    num_parameters = 2

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        tail, skew = parameters.unbind(-1)
        inner = tail.exp() * torch.asinh(x) + skew
        return inner.sinh(), inner.cosh().log() + tail - 0.5 * torch.log1p(x.square())

    def inverse(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        tail, skew = parameters.unbind(-1)
        x = ((-tail).exp() * (torch.asinh(z) - skew)).sinh()
        return x, -self.forward(x, parameters)[1]


NUMBERS = zoo.normal(8)


@pytest.mark.parametrize(
    "wrong, law",
    [
        (NoDerivative(), "derivative"),
        (Adding(), "derivative"),
        (Decreasing(), "increasing"),
        (SummedDerivative(), "parameter_shapes"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_wrong_scalars_are_caught(wrong: ScalarBijection, law: str) -> None:
    with pytest.raises(AssertionError, match=f"^check_{law}: "):
        testing.SCALAR_LAWS[law](wrong, NUMBERS)
    with pytest.raises(AssertionError, match=r"^check_"):
        testing.check_scalar(wrong, NUMBERS)


@pytest.mark.parametrize("wrong, law", [(NoDerivative(), "log_det"), (Adding(), "inverse")], ids=["slope", "inverse"])
def test_wrong_scalars_are_caught_in_every_structure(wrong: ScalarBijection, law: str) -> None:
    for layer in (
        pf.transforms.Coupling(pf.transforms.masks.halves(4), wrong, zoo.SMALL),
        pf.transforms.Autoregressive(4, wrong),
        pf.transforms.Elementwise(wrong, (4,)),
    ):
        with pytest.raises(AssertionError, match=f"^check_{law}: .* at random parameters"):
            testing.TRANSFORM_LAWS[law](layer, zoo.normal(6, 4))


def test_extremes_can_be_left_out_and_the_message_says_how() -> None:
    scalar = pf.register(SinhArcsinh)()
    with pytest.raises(AssertionError, match=r"without=\['extremes'\]"):
        testing.check_scalar(scalar, NUMBERS)
    testing.check_scalar(scalar, NUMBERS, without=["extremes"])
    testing.check_extremes(pf.transforms.Elementwise(scalar, (2,)), zoo.TWO, factors=(0.5, 1.0))


def test_an_unknown_law_is_an_error() -> None:
    with pytest.raises(pf.errors.UsageError, match="no law 'extreme'"):
        testing.check_transform(zoo.Stretch(), zoo.THREE, without=["extreme"])
    with pytest.raises(pf.errors.UsageError, match="at least 4 events"):
        testing.check_transform(zoo.Stretch(), zoo.THREE[:2])


@pf.register
class Line(Distribution):
    """Uniform on an interval of one number, with a learned tilt that keeps the mass."""

    def __init__(self) -> None:
        super().__init__()
        self.support = Interval(0.0, 1.0, (1,))
        self.raw = nn.Parameter(torch.zeros(()))

    def tilt(self) -> Tensor:
        return self.raw.tanh()

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return torch.log1p(self.tilt() * (2 * x - 1))[..., 0]

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        u = pf.numerics.rand(self.raw, (*batch, 1), generator)
        # F(x) = (1 - a) x + a x^2.
        a = self.tilt()
        return 2 * u / ((1 - a) + torch.sqrt((1 - a).square() + 4 * a * u)).clamp_min(1e-9)


class SamplesOutside(Line):
    def draw(self, *arguments: object) -> Tensor:
        return super().draw(*arguments) * 2  # type: ignore[arg-type]


class SupportIgnored(Line):
    def score(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return self(x.clamp(0, 1))


class NotNormalised(Line):
    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return super().forward(x) + 0.01


class SamplesOfAnother(Line):
    def tilt(self) -> Tensor:
        return super().tilt() if torch.is_grad_enabled() else -super().tilt()


class GradientDetached(Line):
    def draw(self, *arguments: object) -> Tensor:
        return super().draw(*arguments).detach()  # type: ignore[arg-type]


class WrongDensityGradient(Line):
    def tilt(self) -> Tensor:
        return super().tilt().detach()


class SamplesUniformly(Line):
    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        return pf.numerics.rand(self.raw, (*batch, 1), generator) + 0 * self.raw


@pytest.mark.parametrize(
    "wrong, law",
    [
        (SamplesOutside, "samples"),
        (SupportIgnored, "support"),
        (NotNormalised, "mass"),
        (SamplesUniformly, "samples_follow"),
        (GradientDetached, "reparametrised"),
        (WrongDensityGradient, "log_prob_gradients"),
    ],
)
def test_wrong_distributions_are_caught(wrong: type[Distribution], law: str) -> None:
    x = Line().sample(6)
    with pytest.raises(AssertionError, match=f"^check_{law}: "):
        testing.DISTRIBUTION_LAWS[law](wrong(), x)
    with pytest.raises(AssertionError, match=r"^check_"):
        testing.check_distribution(wrong())


def test_the_sound_distribution_obeys_all_laws() -> None:
    testing.check_distribution(Line())


@pytest.mark.parametrize(
    "space",
    [
        Reals((2,)),
        Interval(-1.0, 3.0, (1,)),
        Interval(2.0, math.inf, (1,)),
        Interval(-math.inf, 0.0, (1,)),
        pf.spaces.Circle((2,)),
        pf.spaces.Integers(0, 4, (2,)),
        pf.spaces.Integers(None, None, (1,)),
        pf.spaces.Integers(3, None, (1,)),
        pf.spaces.OneHot(2, 3),
        pf.spaces.Sphere(2),
        pf.spaces.Product(Reals((1,)), pf.spaces.Circle((1,))),
    ],
    ids=repr,
)
def test_the_reference_distribution_obeys_the_laws(space: pf.spaces.Space) -> None:
    testing.check_distribution(testing.Reference(space))
