"""The laws of a transform's mathematics: its inverse, its log-determinant, its values, its spaces, its gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.accuracy import Accuracy, Draws
from pushforward.spaces import Product, Space, Sphere
from pushforward.testing.compare import FLOATS, assert_close, assert_finite, assert_same_points, tolerance_of
from pushforward.testing.differences import difference
from pushforward.testing.parameters import cast, law, seeded
from pushforward.testing.reference import points_of
from pushforward.transforms.base import Transform
from pushforward.transforms.inverse import Inverse

JACOBIAN_TOLERANCE = 1e-6
CALLS, DRAWS = 20, 100
"""How often an estimate is drawn: by so many calls, each of so many events in the place of one. Estimates of one call
may have drawn something in common."""
ERRORS = 5.0
"""How many standard errors the mean of estimates may be off."""


@law
def check_inverse(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """``inverse(forward(x)) = x``, ``forward(inverse(z)) = z`` and the two log-determinants cancel, in float32 and
    float64; exactly on discrete events. Where one direction draws, the other gives back what it started from; where
    both draw for the log-determinant alone, the values are still each other's inverse.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_inverse(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    for dtype in FLOATS:
        part, events, given = cast(transform, x, context, dtype)
        if not part.draws & Draws.INVERSE:
            _there_and_back(part, events, given, f"inverse(forward(x)) in {dtype}")
            _there_and_back(part, points_of_domain(part, events), given, f"inverse(forward(x)) in {dtype}")
        if not part.draws & Draws.FORWARD:
            latents = part.encode(events, given, seeded()).detach()
            # Backwards, what chooses among several latents refuses to be asked for gradients.
            with torch.set_grad_enabled(part.reparametrised):
                _there_and_back(Inverse(part), latents, given, f"forward(inverse(z)) in {dtype}")
                others = points_of_codomain(part, latents)
                _there_and_back(Inverse(part), others, given, f"forward(inverse(z)) in {dtype}")
        if part.draws == Draws.BOTH:
            _there_and_back_by_values(part, events, given, f"decode(encode(x)) in {dtype}")


@law
def check_log_det(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """``log_det`` equals ``slogdet`` of the autograd Jacobian, event by event, in float64; between the tangent spaces
    on spheres; an estimate in the mean, within its standard error and the bias that it declares; zero on discrete
    events. Where one direction draws, the probability of what it draws is part of ``log_det``, and no Jacobian tells
    it: ``mass`` and ``bound`` do.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_log_det(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    part, events, given = cast(transform, x, context, torch.float64)
    if part.draws and part.accuracy is not Accuracy.ESTIMATE:
        return
    if part.domain.discrete and part.codomain.discrete:
        log_det = part(events, given)[1]
        assert not log_det.any(), f"log_det is {log_det.flatten()[0]:.8g} on discrete events, expected 0"
    elif not part.domain.discrete and not part.codomain.discrete:
        inputs = events.clone().requires_grad_()
        z, log_det = part(inputs, given, seeded())
        expected = _log_volume(part, inputs, z)
        if part.accuracy is Accuracy.ESTIMATE:
            _assert_right_in_the_mean(part, events, given, expected)
            if part.draws & Draws.INVERSE:
                _assert_right_in_the_mean(Inverse(part), z.detach(), given, -expected)
        elif part.accuracy is Accuracy.EXACT:
            assert_close(log_det, expected, JACOBIAN_TOLERANCE, "log_det against the Jacobian's")


@law
def check_values(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """``encode`` and ``decode`` give the values of ``forward`` and ``inverse``, where those do not draw.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_values(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    for dtype in FLOATS:
        part, events, given = cast(transform, x, context, dtype)
        tolerance, z = tolerance_of(part, dtype), part(events, given, seeded())[0].detach()
        if not part.draws & Draws.FORWARD:
            found = part.encode(events, given)
            assert_same_points(part.codomain, found, z, tolerance, f"encode against forward in {dtype}")
        if not part.draws & Draws.INVERSE:
            found = part.decode(z, given)
            expected = part.inverse(z, given)[0]
            assert_same_points(part.domain, found, expected, tolerance, f"decode against inverse in {dtype}")


@law
def check_spaces(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """``forward`` leads from the domain into the codomain and ``inverse`` back, wherever in them the points lie; the
    declared spaces and shapes are those of the events.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_spaces(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    part, events, given = cast(transform, x, context, torch.float64)
    _assert_inside(part.domain, events, "the events to check on", "domain")
    z = part(events, given, seeded())[0].detach()
    event, latent = x.shape[1:], z.shape[1:]
    domain, codomain = part.domain.with_shape(event), part.codomain.with_shape(latent)
    for name, found, expected in [
        ("forward_shape", part.forward_shape(event), latent),
        ("inverse_shape", part.inverse_shape(latent), event),
        ("forward_space", part.forward_space(domain).shape, latent),
        ("inverse_space", part.inverse_space(codomain).shape, event),
    ]:
        assert found == expected, f"{name} says {tuple(found)}, expected the event's {tuple(expected)}"
    for inputs, what in ((events, "of the events"), (points_of_domain(part, events), "of points of the domain")):
        _assert_inside(part.codomain, part(inputs, given, seeded())[0], f"forward {what}", "codomain")
    for inputs, what in ((z, "of the latents"), (points_of_codomain(part, z), "of points of the codomain")):
        _assert_inside(part.domain, part.inverse(inputs, given, seeded())[0], f"inverse {what}", "domain")


@law
def check_gradients(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """The gradients of values and log-determinants, in the events and in the parameters, are the derivatives that
    finite differences see, in float64; those of an estimate in the mean, since a gradient may be estimated by other
    means than the value is.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_gradients(pf.transforms.Planar(2), torch.randn(4, 2))
    """
    part, events, given = cast(transform, x, context, torch.float64)
    if part.domain.discrete and part.codomain.discrete:
        # What is rounded has gradients that only stand in for derivatives.
        return
    moved: list[Tensor] = [each for each in part.parameters() if each.requires_grad]
    if not part.domain.discrete:
        events = events.clone().requires_grad_()
        moved = [events, *moved]
    generator = seeded(3)
    directions = [torch.randn(each.shape, dtype=each.dtype, generator=generator) for each in moved]
    z, log_det = part(events, given, seeded())
    weights = [torch.randn(each.shape, dtype=each.dtype, generator=generator) for each in (z, log_det)]

    def slopes(seed: int, index: int) -> Tensor:
        def value() -> Tensor:
            return (weights[index] * part(events, given, seeded(seed))[index]).sum()

        return torch.stack([_slope(value(), moved, directions), difference(moved, directions, value)])

    for name, index in (("z", 0), ("log_det", 1)):
        calls = CALLS if index and part.accuracy is Accuracy.ESTIMATE else 1
        found, expected = torch.stack([slopes(seed, index) for seed in range(calls)], 1)
        slack = ERRORS * (found - expected).std() / calls**0.5 if calls > 1 else 0.0
        assert_close(found.mean(), expected.mean(), 1e-4, f"the gradient of {name} against finite differences", slack)


def points_of_domain(part: Transform, events: Tensor) -> Tensor:
    """Return points of the domain, as many as there are events, of their type."""
    return _points(part.domain, events)


def points_of_codomain(part: Transform, latents: Tensor) -> Tensor:
    """Return points of the codomain, as many as there are latents, of their type."""
    return _points(part.codomain, latents)


def _points(space: Space, like: Tensor) -> Tensor:
    return points_of(space.with_shape(like.shape[1:]), len(like)).to(like.dtype)


def _slope(total: Tensor, moved: list[Tensor], directions: list[Tensor]) -> Tensor:
    """The derivative of a number in a direction, by its gradients."""
    gradients = torch.autograd.grad(total, moved, allow_unused=True) if total.requires_grad else [None] * len(moved)
    products = [(g * d).sum() for g, d in zip(gradients, directions, strict=True) if g is not None]
    return sum(products, torch.zeros_like(total))


def _there_and_back(part: Transform, x: Tensor, context: Tensor | None, what: str) -> None:
    """``part`` does not draw on its way back."""
    tolerance = tolerance_of(part, x.dtype if x.is_floating_point() else torch.float32)
    if not part.draws:
        z, log_det = part(x, context)
        back, inverse_log_det = part.inverse(z, context)
        _assert_back(part, back, x, z, context, tolerance, what)
        assert_close(
            -inverse_log_det, log_det, 10 * tolerance, f"minus the log_det back against the one there ({what})"
        )
        return
    back = part.decode(part.encode(x, context, seeded()), context)
    assert_same_points(part.domain, back.to(x.dtype), x, tolerance, f"{what}, by encode and decode")
    z, log_det = part(x, context, seeded())
    back, inverse_log_det = part.inverse(z, context)
    same = torch.ones_like(log_det, dtype=torch.bool)
    if part.reads_back:
        assert_same_points(part.domain, back.to(x.dtype), x, tolerance, what)
    else:
        # What is read back right must be scored alike both ways.
        same = (back == x).flatten(log_det.dim()).all(-1)
    # At the edge of a cell what was drawn is lost beside a large x, and with it what it says about the log-determinant.
    spacing = 4 * torch.finfo(z.dtype).eps * z.abs()
    moved = [(part.inverse(z + sign * spacing, context)[1] - inverse_log_det).abs() for sign in (-1, 1)]
    slack = (moved[0] + moved[1])[same]
    assert_close(-inverse_log_det[same], log_det[same], 10 * tolerance, f"minus the log_det back ({what})", slack)


def _there_and_back_by_values(part: Transform, x: Tensor, context: Tensor | None, what: str) -> None:
    z = part.encode(x, context, seeded(1)).detach()
    back = part.decode(z, context, seeded(1))
    again = part.encode(x, context, seeded(2)), part.decode(z, context, seeded(2))
    if torch.equal(z, again[0]) and torch.equal(back, again[1]):
        _assert_back(part, back, x, z, context, tolerance_of(part, x.dtype), what)


def _assert_back(
    part: Transform, back: Tensor, x: Tensor, z: Tensor, context: Tensor | None, tolerance: float, what: str
) -> None:
    if part.domain.discrete or part.codomain.discrete:
        assert_same_points(part.domain, back, x, tolerance, what)
        return
    assert back.shape == x.shape, f"{what}: expected shape {tuple(x.shape)}, got {tuple(back.shape)}"
    features, expected = part.domain.features(back), part.domain.features(x)
    slack: Tensor | float = 0.0
    if not torch.allclose(features, expected, rtol=tolerance, atol=tolerance):
        # Where the map is flat, many numbers share one rounded z: the inverse cannot tell them apart.
        spacing = 4 * torch.finfo(z.dtype).eps * z.abs()
        moved = [(part.decode(z + sign * spacing, context) - back).abs() for sign in (-1, 1)]
        slack = (moved[0] + moved[1]).detach().double()
        slack = slack.max() if features.shape != x.shape else slack
    assert_close(features, expected, tolerance, what, slack)


def _log_volume(part: Transform, x: Tensor, z: Tensor) -> Tensor:
    """``log |det dz/dx|`` for each event, between orthonormal frames of the tangent spaces."""
    rows = z.flatten(1)
    if not rows.requires_grad:
        jacobian = x.new_zeros(len(x), rows.shape[1], x[0].numel())
    else:
        columns = [
            torch.autograd.grad(rows[:, i].sum(), x, retain_graph=True, allow_unused=True)[0]
            for i in range(rows.shape[1])
        ]
        jacobian = torch.stack([torch.zeros_like(x) if each is None else each for each in columns], 1).flatten(2)
    outside, inside = _frames(part.codomain, z.detach()), _frames(part.domain, x.detach())
    square = outside.transpose(-1, -2) @ jacobian @ inside
    assert square.shape[-1] == square.shape[-2], (
        f"the Jacobian is {square.shape[-2]} x {square.shape[-1]}: a part that changes the number of dimensions draws "
        f"in one direction, and must say so (draws)"
    )
    return torch.linalg.slogdet(square).logabsdet


def _frames(space: Space, points: Tensor) -> Tensor:
    """Orthonormal vectors of the tangent space at each point, ``(batch, numbers, dimensions)``."""
    if isinstance(space, Sphere):
        return torch.linalg.qr(points.unsqueeze(-1), mode="complete").Q[..., 1:]
    if isinstance(space, Product):
        pieces = points.split([each.shape[0] for each in space.spaces], -1)
        found = [_frames(each, piece) for each, piece in zip(space.spaces, pieces, strict=True)]
        return torch.stack([torch.block_diag(*blocks) for blocks in zip(*found, strict=True)])
    size = points[0].numel()
    return torch.eye(size, dtype=points.dtype).expand(len(points), size, size)


def _assert_right_in_the_mean(part: Transform, x: Tensor, context: Tensor | None, expected: Tensor) -> None:
    many = x.expand(DRAWS, *x.shape)
    given = None if context is None else context.expand(DRAWS, *context.shape)
    generator = seeded()
    with torch.no_grad():
        means = torch.stack([part(many, given, generator)[1].mean(0) for _ in range(CALLS)])
    slack = ERRORS * means.std(0) / CALLS**0.5 + part.log_det_bias
    what = f"the mean of {CALLS * DRAWS} estimates of log_det"
    assert_close(means.mean(0), expected, JACOBIAN_TOLERANCE, what, slack)


def _assert_inside(space: Space, x: Tensor, what: str, name: str) -> None:
    assert_finite(x, what)
    outside = x[~space.contains(x)]
    assert not len(outside), f"{what} left the {name} {space}, as {outside[0].flatten()[:4].tolist()} did"
