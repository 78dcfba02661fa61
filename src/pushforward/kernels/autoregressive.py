"""What makes autoregressive layers fast when they are compiled or swept; without it they compute the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.kernels.compilation import PARTS, compiled_call, is_compiling, keep_compiled, set_compiled_call, tuned

LEAST_PARAMETERS = 4
"""Below so many parameters a scalar bijection's inverse is too little work to be compiled by itself."""


def is_sweepable(network: nn.Module) -> bool:
    """Whether a causal network can be evaluated in order, and nobody listens to its calls: hooks hear calls alone."""
    return hasattr(network, "generate") and not network._forward_hooks and not network._forward_pre_hooks


def steps_inverse(layer: nn.Module, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the compiled form of what each step of a layer's inverse applies, or ``function`` itself."""
    return layer.__dict__.get(PARTS, {}).get(function.__name__, function)


def compile_autoregressive(layer: Any, compile: Callable[..., None], *args: Any, **options: Any) -> None:
    """Compile a layer's forward, by ``compile``, and what the steps of its inverse apply."""
    # A spline's gradient is one loop of hundreds of steps, which the compiler would cut into many.
    options = tuned(options, max_fusion_size=1024)
    compile(*args, **options)
    compiled: Any = compiled_call(layer)

    def call(x: Tensor, *rest: Any, **named: Any) -> tuple[Tensor, Tensor]:
        # Data come rows first and without a gradient, activations features first and with one: made alike, all
        # layers share one compiled graph.
        x = x.movedim(-1, 0).contiguous().movedim(0, -1)
        trains = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in layer.parameters())
        return compiled(x.detach().requires_grad_() if trains and not x.requires_grad else x, *rest, **named)

    set_compiled_call(layer, call)
    scalar = layer.scalar
    if scalar.num_parameters >= LEAST_PARAMETERS:
        steps = {each.__name__: torch.compile(each, *args, **options) for each in (scalar.inverse, scalar.decode)}
        # Not among what is copied or pickled: compiled code is neither.
        keep_compiled(layer, Uncopied(steps))


class Uncopied(dict[str, Any]):
    """A dictionary of compiled code, which a copy or a pickle begins anew, empty."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Uncopied:
        return Uncopied()

    def __reduce__(self) -> tuple[type[Uncopied], tuple[()]]:
        return Uncopied, ()


def boundary(z: Tensor, log_dz: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``(D, rows)`` values as they are; compiled code writes their gradients out before they are used."""
    if not is_compiling():
        return z, log_dz
    return _Boundary.apply(z, log_dz)  # type: ignore[no-any-return]


class _Boundary(torch.autograd.Function):
    """The identity on ``(D, rows)``, whose gradients the compiler writes out before they are used.

    Looked up by order or repeated along ``D``, they would break the one loop of a spline's gradient into many.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor, log_dz: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        return z.view_as(z), log_dz.view_as(log_dz)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:  # type: ignore[override]
        # Strides are a matter of memory: to be given them, a tensor must be in it.
        return tuple(gradient.contiguous().as_strided(gradient.shape, (gradient.shape[1], 1)) for gradient in gradients)
