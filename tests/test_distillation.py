"""An autoregressive teacher of waveforms, and the inverse autoregressive student that learns its density."""

from functools import partial

import pytest
import torch
from torch import nn

import pushforward as pf
from pushforward import training
from pushforward.data import chirps, tones
from pushforward.distributions import RNADE, StandardLogistic, StandardNormal
from pushforward.networks import WaveNet
from pushforward.scalar import Affine
from pushforward.transforms import Autoregressive, Inverse

SMALL = partial(WaveNet, hidden=6, dilations=(1, 2, 4))


def moved_wavenet(variables: int = 20, per_input: int = 2, context: int = 0) -> WaveNet:
    network = WaveNet(variables, variables * per_input, context, hidden=6, dilations=(1, 2, 4)).double()
    return pf.testing.randomise(network, 0.5, torch.Generator().manual_seed(0))


def student_of(variables: int, layers: int = 2, network: object = SMALL) -> pf.Flow:
    parts = [Inverse(Autoregressive(variables, Affine(), network)) for _ in range(layers)]  # type: ignore[arg-type]
    return pf.Flow(parts, StandardNormal((variables,)))


def test_a_wavenet_sees_what_its_dilations_reach_and_nothing_else() -> None:
    network = moved_wavenet()
    x = torch.randn(20, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(network, x).unflatten(0, (2, 20)).abs().sum(0)
    output, given = torch.meshgrid(torch.arange(20), torch.arange(20), indexing="ij")
    seen = (given < output) & (given >= output - 1 - (1 + 2 + 4))
    assert ((jacobian > 1e-9) == seen).all()


def test_every_parameter_of_a_wavenet_is_used() -> None:
    network = moved_wavenet(context=3)
    network(torch.randn(30, 20, dtype=torch.float64), torch.randn(30, 3, dtype=torch.float64)).square().sum().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in network.parameters())


@pytest.mark.parametrize("gradients", [False, True])
def test_generating_with_kept_columns_is_one_pass_for_each_moment(gradients: bool) -> None:
    layer = Autoregressive(20, Affine(), moved_wavenet(context=3), 3)
    z, context = torch.randn(2, 4, 20, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    with torch.set_grad_enabled(gradients):
        x, log_det = layer.inverse(z, context)
        expected, expected_log_det = layer.inverse_in_turn(z, context)
    torch.testing.assert_close(x, expected)
    torch.testing.assert_close(log_det, expected_log_det)


def test_other_values_of_one_element_are_those_of_latents_with_that_element_changed() -> None:
    from pushforward.training.conditional_distillation import redrawn

    student = pf.testing.randomise(student_of(6).double(), 0.5, torch.Generator().manual_seed(0))
    z, others = torch.randn(6, dtype=torch.float64), torch.randn(3, 6, dtype=torch.float64)
    x, values, log_det = redrawn(student.transform, z, others, None)
    torch.testing.assert_close(x, student.transform.decode(z))
    slopes = torch.zeros(3, dtype=torch.float64)
    for draw in range(3):
        for element in range(6):
            changed = z.clone()
            changed[element] = others[draw, element]
            jacobian = torch.autograd.functional.jacobian(student.transform.decode, changed)
            torch.testing.assert_close(values[draw, element], student.transform.decode(changed)[element])
            slopes[draw] += jacobian[element, element].log()
    torch.testing.assert_close(log_det, slopes)


def test_the_teachers_conditionals_at_the_event_are_its_density() -> None:
    teacher = pf.testing.randomise(RNADE(5, 3, order=[4, 0, 2, 1, 3]), 0.5, torch.Generator().manual_seed(0))
    x = torch.randn(7, 5)
    several = teacher.log_conditionals(torch.stack([x, x + 1]), x)
    torch.testing.assert_close(several[0].sum(-1), teacher.log_prob(x))
    # Of the last in the order the value alone counts: the others see what was before them.
    changed = x.clone()
    changed[:, 3] += 1
    torch.testing.assert_close(several[1, :, 3] - several[0, :, 3], teacher.log_prob(changed) - teacher.log_prob(x))


def test_one_draw_is_the_distillation_of_densities_and_several_have_less_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    teacher = pf.testing.randomise(RNADE(8, 2, network=SMALL), 0.3, generator)
    student = pf.testing.randomise(student_of(8), 0.3, generator)
    x = torch.zeros(64, 8)

    def losses(objective: training.objectives.Objective, count: int) -> torch.Tensor:
        with torch.no_grad():
            return torch.stack([objective(student, x, None) for _ in range(count)])

    torch.manual_seed(1)
    whole = losses(training.match_density(teacher), 60)
    one, several = (losses(training.match_conditionals(teacher, draws), 60) for draws in (1, 8))
    for other in (one, several):
        assert abs(other.mean() - whole.mean()) < 4 * ((other.var() + whole.var()) / 60).sqrt()
    assert several.std() < 0.5 * whole.std()


@pytest.mark.parametrize("base", [StandardNormal((3,)), StandardLogistic((3,))])
def test_values_of_an_element_are_one_of_each_part_and_each_is_of_the_base(base: StandardNormal) -> None:
    from pushforward.training.conditional_distillation import stratified

    torch.manual_seed(0)
    z = stratified(base.double(), 4, torch.Size([500])).double()
    levels = torch.special.ndtr(z) if isinstance(base, StandardNormal) else torch.sigmoid(z)
    parts = (4 * levels).floor().sort(0).values
    assert parts.equal(torch.arange(4.0, dtype=torch.float64)[:, None, None].expand_as(parts))
    # The first, whose way the event goes, is of the whole base: Kolmogorov and Smirnov, p about 0.001.
    first = levels[0].flatten().sort().values
    steps = torch.arange(1, 1501, dtype=torch.float64) / 1500
    assert (first - steps).abs().max() < 1.95 / 1500**0.5


def test_the_loss_is_the_divergence_of_normals() -> None:
    """Of elements that do not depend on each other, ``KL(N(0, 1) || N(m, s))`` for each."""
    teacher = RNADE(4, 1)
    network: nn.Module = teacher.network
    shift = 0.7
    with torch.no_grad():
        network.linears[-1].bias.unflatten(0, (4, 3))[:, 1] = shift  # type: ignore[index, union-attr, operator]
        spread = teacher.conditional._components(torch.tensor([0.0, shift, 0.0]))[2].exp().item()  # type: ignore[attr-defined]
    expected = 4 * (torch.tensor(spread).log() + (1 + shift**2) / (2 * spread**2) - 0.5).item()
    torch.manual_seed(0)
    loss = training.match_conditionals(teacher, 16)(student_of(4), torch.zeros(4000, 4), None)
    assert abs(loss.item() - expected) < 0.03


class Decaying(nn.Module):
    """The parameters of ``x_t = 0.8 x_{t-1} + e_t`` as a mixture of one Gaussian: logits, means, log-scales."""

    def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        means = 0.8 * torch.nn.functional.pad(x[..., :-1], (1, 0))
        return torch.cat([torch.zeros_like(x), means, torch.zeros_like(x)], -1)


def test_a_student_learns_a_series_that_the_teacher_knows() -> None:
    torch.manual_seed(0)
    teacher = RNADE(8, 1, network=Decaying())
    student = student_of(8, 1)
    objective = training.match_conditionals(teacher, 4)
    optimiser = torch.optim.Adam(student.parameters(), 1e-2)
    first = objective(student, torch.zeros(2000, 8), None).item()
    for _ in range(150):
        loss = objective(student, torch.zeros(64, 8), None)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # Seven elements, each off by 0.8 of the one before: 7 * 0.8^2 / 2.
    assert abs(first - 2.24) < 0.15
    assert objective(student, torch.zeros(2000, 8), None).item() < 0.1 * first


def test_students_that_are_none_are_told() -> None:
    teacher = RNADE(4, 1)
    objective = training.match_conditionals(teacher)
    with pytest.raises(pf.errors.UsageError, match="in the teacher's order"):
        objective(pf.build("maf", features=4, layers=1, hidden=4), torch.zeros(2, 4), None)
    with pytest.raises(pf.errors.UsageError, match="normal or logistic base"):
        objective(pf.Flow(Inverse(Autoregressive(4, Affine())), teacher), torch.zeros(2, 4), None)
    for ask in (training.match_conditionals, training.match_density):
        with pytest.raises(pf.errors.UsageError, match=r"teacher's events \(4,\), got Flow of events \(5,\)"):
            ask(teacher)(student_of(5), torch.zeros(2, 5), None)
        with pytest.raises(pf.errors.UsageError, match=r"teacher's events .* got RNADE"):
            ask(teacher)(teacher, torch.zeros(2, 4), None)  # type: ignore[arg-type]
        with pytest.raises(pf.errors.UsageError, match="teacher of real numbers"):
            ask(pf.distributions.BinaryMADE(4))
    with pytest.raises(pf.errors.UsageError, match="at least one draw"):
        training.match_conditionals(teacher, 0)
    with pytest.raises(pf.errors.UsageError, match="AutoregressiveDistribution"):
        training.match_conditionals(StandardNormal((4,)))  # type: ignore[arg-type]


def test_waves_are_what_they_are_said_to_be() -> None:
    generator = torch.Generator().manual_seed(0)
    for waves in (tones(500, 128, generator), chirps(500, 128, generator)):
        spectrum = torch.fft.rfft(waves).abs().square().mean(0)
        inside = torch.fft.rfftfreq(128)
        # But for the noise, and for what the ends of a wave that is cut off leak.
        assert spectrum[(inside > 0.01) & (inside < 0.11)].sum() > 0.95 * spectrum.sum()
        assert abs(waves.square().mean() - 0.5 - 0.05**2) < 0.02
