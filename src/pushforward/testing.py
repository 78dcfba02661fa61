"""The laws of a flow as functions, to check one's own transforms, scalar bijections and distributions.

Each function raises ``AssertionError`` with what it saw where a law is broken, and returns nothing where it holds.
``check_transform``, ``check_scalar`` and ``check_distribution`` run all the laws that apply.

Example:
    >>> import torch
    >>> import pushforward as pf
    >>> layer = pf.transforms.Coupling(pf.transforms.masks.halves(4), pf.scalar.Affine(), pf.networks.MLP)
    >>> pf.testing.check_transform(layer, torch.randn(16, 4))
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.scalar.base import ScalarBijection
from pushforward.transforms.base import Transform
from pushforward.transforms.elementwise import Elementwise

ANALYTIC_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}
EXTREME_FACTORS = (1.0, 10.0, 50.0, 200.0)


def check_transform(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """Check every law of a transform on the events ``x`` (one batch dimension, a handful of events)."""
    transform = copy.deepcopy(transform).eval()
    check_shapes(transform, x, context)
    check_inverse(transform, x, context)
    if not transform.draws:
        check_log_det(transform, x, context)
        check_deterministic(transform, x, context)
    check_dtypes(transform, x, context)
    check_finite(transform, x, context)
    check_graph(transform, x, context)
    check_state(transform, x, context)


def check_scalar(scalar: ScalarBijection, x: Tensor) -> None:
    """Check every law of a scalar bijection on numbers ``x`` of one dimension from its domain."""
    check_transform(Elementwise(scalar, (1,)), x[:, None])
    check_increasing(scalar, x)
    check_parameter_shapes(scalar, x)


def check_distribution(distribution: Distribution, context: Tensor | None = None) -> None:
    """Check the shapes, seeds, dtypes and finiteness of a distribution on its own samples."""
    distribution = copy.deepcopy(distribution).eval()
    batch = torch.Size() if context is None else context.shape[: context.dim() - len(distribution.context_shape or ())]
    for sample_shape in [(), (3,), (2, 3), (0,)]:
        x = distribution.sample(sample_shape, context)
        expected = torch.Size(sample_shape) + batch + distribution.event_shape
        assert x.shape == expected, f"sample{sample_shape}: expected shape {tuple(expected)}, got {tuple(x.shape)}"
        log_prob = distribution.log_prob(x, _expand_context(context, torch.Size(sample_shape), batch))
        assert log_prob.shape == expected[: len(expected) - len(distribution.event_shape)], (
            f"log_prob: expected the batch shape, got {tuple(log_prob.shape)}"
        )
        assert bool(torch.isfinite(log_prob).all()), "log_prob of the distribution's own samples is not finite"
    first, second = (distribution.sample((4,), context, generator=torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second), "the same generator seed gave different samples"


def check_inverse(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """``inverse(forward(x)) = x`` and the two log-determinants cancel, in float32 and float64."""
    for dtype in (torch.float32, torch.float64):
        part, events, condition = _cast(transform, x, context, dtype)
        z, log_det = part(events, condition)
        back, inverse_log_det = part.inverse(z, condition)
        tolerance = ANALYTIC_TOLERANCE[dtype] if part.tolerance is None else max(part.tolerance, _noise(dtype))
        _assert_close(back, events, tolerance, f"inverse(forward(x)) in {dtype}")
        if not transform.draws:
            _assert_close(-inverse_log_det, log_det, 10 * tolerance, f"the inverse's log_det in {dtype}")


def check_log_det(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """``log_det`` equals ``slogdet`` of the autograd Jacobian, event by event, in float64."""
    part, events, condition = _cast(transform, x, context, torch.float64)
    _, log_det = part(events, condition)
    for index in range(min(len(events), 4)):
        one = None if condition is None else condition[index]

        def flat(values: Tensor, index: int = index, one: Tensor | None = one) -> Tensor:
            return part(values.view_as(events[index]), one)[0].flatten()

        jacobian = torch.autograd.functional.jacobian(flat, events[index].flatten())
        expected = torch.linalg.slogdet(jacobian).logabsdet
        _assert_close(log_det[index], expected, 1e-6, f"log_det of event {index} against its Jacobian")


def check_shapes(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """No, one, several and empty batch dimensions give the same numbers and ``log_det`` of the batch's shape."""
    event = x.shape[1:]
    for batch, events, condition in _batches(x, context):
        z, log_det = transform(events, condition)
        assert z.shape == batch + transform.forward_shape(event), f"batch {tuple(batch)}: got z {tuple(z.shape)}"
        assert log_det.shape == batch, f"batch {tuple(batch)}: expected log_det of its shape, got {log_det.shape}"
        back, inverse_log_det = transform.inverse(z, condition)
        assert back.shape == events.shape, f"batch {tuple(batch)}: inverse gave {tuple(back.shape)}"
        assert inverse_log_det.shape == batch, f"batch {tuple(batch)}: inverse log_det {tuple(inverse_log_det.shape)}"
        if not transform.draws and events.numel():
            together = transform(x, context)[0].reshape(-1, *z.shape[len(batch) :])[: batch.numel()]
            flat = z.reshape(-1, *z.shape[len(batch) :])
            _assert_close(flat, together, 1e-4, f"the same events in a batch of shape {tuple(batch)}")


def check_dtypes(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """Outputs follow the input's floating-point type."""
    for dtype in (torch.float32, torch.float64):
        part, events, condition = _cast(transform, x, context, dtype)
        z, log_det = part(events, condition)
        assert z.dtype == dtype and log_det.dtype == dtype, f"{dtype} in, {z.dtype} and {log_det.dtype} out"


def check_finite(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """Finite inputs give finite outputs and gradients, however large the parameters and the inputs are."""
    for factor in EXTREME_FACTORS:
        part = with_extreme_parameters(transform, factor)
        for name, events in _extreme_inputs(transform, x).items():
            inputs = events.clone().requires_grad_(events.is_floating_point())
            z, log_det = part(inputs, context)
            what = f"parameters x {factor}, {name} inputs"
            _assert_finite(z, f"z ({what})")
            _assert_finite(log_det, f"log_det ({what})")
            _assert_finite_gradients(z.sum() + log_det.sum(), part, inputs, what)


def check_deterministic(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """The same input gives the same output."""
    assert torch.equal(transform(x, context)[0], transform(x, context)[0]), "two calls gave two results"


def check_graph(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """``torch.compile(fullgraph=True)`` captures the transform without a graph break, gradients included."""
    torch.compiler.reset()
    compiled = torch.compile(transform, fullgraph=True, backend="aot_eager")
    torch.manual_seed(0)
    z, log_det = compiled(x, context)
    if log_det.requires_grad:
        (z.sum() + log_det.sum()).backward()
    torch.manual_seed(0)
    expected = transform(x, context)[0]
    _assert_close(z, expected, 1e-4, "the compiled transform")


def check_state(transform: Transform, x: Tensor, context: Tensor | None = None) -> None:
    """The state dict holds everything: restoring it after a change of all parameters restores the outputs."""
    torch.manual_seed(0)
    expected = transform(x, context)[0]
    restored = copy.deepcopy(transform)
    with torch.no_grad():
        for parameter in restored.parameters():
            parameter.normal_()
    restored.load_state_dict(transform.state_dict())
    torch.manual_seed(0)
    assert torch.equal(restored(x, context)[0], expected), "the state dict did not restore the outputs"


def check_increasing(scalar: ScalarBijection, x: Tensor) -> None:
    """A scalar bijection increases, whatever its parameters."""
    ordered = x.sort().values
    parameters = torch.randn(scalar.num_parameters, generator=torch.Generator().manual_seed(0)).to(x.dtype)
    z, _ = scalar.forward(ordered, parameters.expand(len(x), -1))
    assert bool((z.diff() >= 0).all()), f"{scalar} is not increasing"


def check_parameter_shapes(scalar: ScalarBijection, x: Tensor) -> None:
    """Parameters are ``x.shape + (num_parameters,)``, for ``x`` of any shape."""
    for shape in [(), (1,), (2, 3), (0,)]:
        values = x[:1].expand(shape if shape else (1,)).reshape(shape)
        z, log_dz = scalar.forward(values, torch.zeros(*shape, scalar.num_parameters, dtype=x.dtype))
        assert z.shape == log_dz.shape == torch.Size(shape), f"shape {shape} gave {z.shape} and {log_dz.shape}"


def check_normalised(
    log_prob: Callable[[Tensor], Tensor], low: float, high: float, dims: int, points: int = 400
) -> None:
    """A density over a box of one or two dimensions integrates to 1 within 1e-3, by the midpoint rule."""
    step = (high - low) / points
    axis = low + step * (torch.arange(points, dtype=torch.float64) + 0.5)
    grid = torch.cartesian_prod(*[axis] * dims).reshape(-1, dims)
    with torch.no_grad():
        total = torch.exp(torch.logsumexp(log_prob(grid).double(), 0)) * step**dims
    assert abs(float(total) - 1) < 1e-3, f"the density integrates to {float(total):.6f} over [{low}, {high}]^{dims}"


def with_extreme_parameters(transform: Transform, factor: float) -> Transform:
    """Return a copy whose conditioners' outputs are multiplied by ``factor``, and whose own parameters are drawn
    from a normal of that deviation where it has no conditioner."""
    part = copy.deepcopy(transform)
    torch.manual_seed(1)
    found = [getattr(module, "network", None) for module in part.modules()]
    networks = [network for network in found if isinstance(network, nn.Module)]
    for network in networks:
        randomise(network)
        network.register_forward_hook(lambda module, inputs, outputs: outputs * factor)
    conditioned = {id(parameter) for network in networks for parameter in network.parameters()}
    with torch.no_grad():
        for parameter in part.parameters():
            if id(parameter) not in conditioned:
                parameter.add_(torch.randn_like(parameter) * factor)
    return part


def randomise(module: nn.Module, scale: float = 0.5) -> nn.Module:
    """Move all parameters off their start, so that layers that begin at zero take part in a check."""
    with torch.no_grad():
        for parameter in module.parameters():
            fan_in = parameter.shape[1:].numel() if parameter.dim() > 1 else 1
            parameter.add_(torch.randn_like(parameter) * fan_in**-0.5 * scale)
    return module


def _batches(x: Tensor, context: Tensor | None) -> list[tuple[torch.Size, Tensor, Tensor | None]]:
    def take(values: Tensor | None, batch: tuple[int, ...]) -> Tensor | None:
        if values is None:
            return None
        return values[: torch.Size(batch).numel()].reshape(*batch, *values.shape[1:])

    shapes: list[tuple[int, ...]] = [(), (1,), (2,), (2, 1), (0,), (2, 0)]
    return [(torch.Size(shape), take(x, shape), take(context, shape)) for shape in shapes]  # type: ignore[misc]


def _extreme_inputs(transform: Transform, x: Tensor) -> dict[str, Tensor]:
    if not x.is_floating_point():
        return {"usual": x}
    domain = getattr(getattr(transform, "scalar", None), "domain", None)
    low, high = getattr(domain, "low", float("-inf")), getattr(domain, "high", float("inf"))
    inputs = {"usual": x, "zero": torch.zeros_like(x)}
    inputs |= {f"{value:g}": torch.full_like(x, value) for value in (1.0, -1.0, 1e3, 1e6, -1e6)}
    return {name: values.clamp(low, high) for name, values in inputs.items()}


def _cast(
    transform: Transform, x: Tensor, context: Tensor | None, dtype: torch.dtype
) -> tuple[Transform, Tensor, Tensor | None]:
    part = copy.deepcopy(transform).to(dtype)
    events = x.to(dtype) if x.is_floating_point() else x
    return part, events, None if context is None else context.to(dtype)


def _expand_context(context: Tensor | None, sample_shape: torch.Size, batch: torch.Size) -> Tensor | None:
    return None if context is None else context.expand(*sample_shape, *context.shape)


def _noise(dtype: torch.dtype) -> float:
    return 1e-4 if dtype == torch.float32 else 1e-9


def _assert_close(value: Tensor, expected: Tensor, tolerance: float, what: str) -> None:
    error = ((value - expected).abs() / expected.abs().clamp(min=1)).detach()
    worst = float(error.max()) if error.numel() else 0.0
    assert worst <= tolerance, f"{what}: off by {worst:.3g}, more than {tolerance:.3g}"


def _assert_finite(value: Tensor, what: str) -> None:
    assert bool(torch.isfinite(value).all()), f"{what} is not finite"


def _assert_finite_gradients(loss: Tensor, part: nn.Module, x: Tensor, what: str) -> None:
    wanted = [tensor for tensor in (x, *part.parameters()) if tensor.requires_grad]
    if not (wanted and loss.requires_grad):
        return
    for gradient in torch.autograd.grad(loss, wanted, allow_unused=True):
        if gradient is not None:
            _assert_finite(gradient, f"a gradient ({what})")
