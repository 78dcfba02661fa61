"""The laws of a distribution: its samples, its support, what carries gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.testing.compare import FLOATS, assert_close, assert_finite
from pushforward.testing.differences import difference
from pushforward.testing.parameters import cast, law, seeded
from pushforward.testing.reference import outside_of

SAMPLE_SHAPES: list[tuple[int, ...]] = [(), (3,), (2, 3), (0,)]


@law
def check_samples(distribution: Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """Samples have the shape ``sample_shape + context's batch + event_shape``, lie in the support, and have finite
    log-densities of the batch's shape.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_samples(pf.distributions.StandardNormal((2,)), torch.randn(4, 2))
    """
    batch = torch.Size() if context is None else context.shape[:1]
    for sample_shape in SAMPLE_SHAPES:
        samples = distribution.sample(sample_shape, context, generator=seeded())
        expected = (*sample_shape, *batch, *distribution.event_shape)
        assert samples.shape == expected, f"sample({sample_shape}): expected {expected}, got {tuple(samples.shape)}"
        inside = distribution.support.contains(samples)
        assert bool(inside.all()), f"{int((~inside).sum())} samples lie outside of the support {distribution.support}"
        given = None if context is None else context.expand(*sample_shape, *context.shape)
        log_prob = distribution.log_prob(samples, given, seeded())
        assert log_prob.shape == (*sample_shape, *batch), f"log_prob: expected the batch's shape, got {log_prob.shape}"
        assert_finite(log_prob, "log_prob of the distribution's own samples")


@law
def check_support(distribution: Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """Outside of the support ``log_prob`` is minus infinity, and its gradients are finite.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_support(pf.distributions.StandardNormal((2,)), torch.randn(4, 2))
    """
    for what, events in outside_of(distribution.support, x).items():
        inputs = events.clone().requires_grad_() if events.is_floating_point() else events
        log_prob = distribution.log_prob(inputs, context, seeded())
        assert bool((log_prob == -torch.inf).all()), (
            f"log_prob is {log_prob[log_prob != -torch.inf][0]:.4g} for {what} of the support {distribution.support}"
        )
        wanted = [each for each in distribution.parameters() if each.requires_grad]
        if log_prob.requires_grad and wanted:
            total = torch.where(torch.isinf(log_prob), 0.0, log_prob).sum()
            for gradient in torch.autograd.grad(total, wanted, allow_unused=True):
                assert gradient is None or bool(torch.isfinite(gradient).all()), f"a gradient is not finite for {what}"


@law
def check_reparametrised(distribution: Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """``rsample`` carries gradients to the parameters and ``rsample_and_log_prob`` agrees with ``log_prob``, where the
    distribution says that it is reparametrised; elsewhere both are refused.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_reparametrised(pf.distributions.StandardNormal((2,)), torch.randn(4, 2))
    """
    if not distribution.reparametrised:
        for name in ("rsample", "rsample_and_log_prob"):
            try:
                getattr(distribution, name)(3, context)
            except UsageError:
                continue
            raise AssertionError(f"{name} is not refused, though the distribution says that it is not reparametrised")
        return
    for dtype in FLOATS:
        part, _, given = cast(distribution, x, context, dtype)
        samples, log_prob = part.rsample_and_log_prob(5, given, generator=seeded())
        many = None if given is None else given.expand(5, *given.shape)
        assert_close(log_prob, part.log_prob(samples, many), 1e-4 if dtype == torch.float32 else 1e-9, "log_prob")
        same = part.rsample(5, given, generator=seeded())
        assert_close(same, samples, 1e-4 if dtype == torch.float32 else 1e-9, "rsample with the same seed")
    wanted = [each for each in distribution.parameters() if each.requires_grad]
    if wanted:
        assert same.requires_grad, "samples carry no gradient to the parameters"
        total = distribution.rsample(16, context, generator=seeded()).square().sum()
        gradients = torch.autograd.grad(total, wanted, allow_unused=True)
        assert any(each is not None and bool(each.any()) for each in gradients), "the gradient of samples is zero"
        assert all(each is None or bool(torch.isfinite(each).all()) for each in gradients), "a gradient is not finite"


@law
def check_log_prob_gradients(distribution: Distribution, x: Tensor, context: Tensor | None = None) -> None:
    """The gradient of ``log_prob`` in the parameters is the derivative that finite differences see, in float64.

    Raises:
        AssertionError: if not, with what was seen.

    Example:
        >>> import pushforward as pf
        >>> check_log_prob_gradients(pf.distributions.StandardNormal((2,)), torch.randn(4, 2))
    """
    part, events, given = cast(distribution, x, context, torch.float64)
    wanted = [each for each in part.parameters() if each.requires_grad]
    if not wanted:
        return
    generator = seeded(3)
    directions = [torch.randn(each.shape, dtype=each.dtype, generator=generator) for each in wanted]
    total = part.log_prob(events, given, seeded()).sum()
    gradients = torch.autograd.grad(total, wanted, allow_unused=True)
    found = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True) if g is not None)
    expected = difference(wanted, directions, lambda: part.log_prob(events, given, seeded()).sum())
    assert_close(torch.as_tensor(found, dtype=torch.float64), expected, 1e-4, "the gradient of log_prob")
