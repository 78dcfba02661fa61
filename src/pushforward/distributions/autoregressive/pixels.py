"""Causal networks of images as distributions: each pixel is decided by the pixels before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from pushforward.distributions.autoregressive.masked import Conditional
from pushforward.distributions.base import Distribution
from pushforward.errors import UsageError
from pushforward.kernels.autoregressive import is_sweepable
from pushforward.networks.causal import check_sizes
from pushforward.networks.context import Context, image_context
from pushforward.networks.factory import NetworkFactory, check_outputs, make_network
from pushforward.networks.masked.causal import moved
from pushforward.networks.masked.images.base import PixelNetwork
from pushforward.networks.masked.images.gated import GatedPixelCNN

PROBES = 16
"""How many variables are changed, one by one, to see whether a network is causal."""


class PixelDistribution(Distribution):
    r"""Images, one variable after the other in raster order: ``log p(x) = sum_i log p(x_i; theta_i(x_<i, context))``.

    A variable is a channel of a pixel, where the conditional is one of a number, or a whole pixel, where it is one of
    ``C`` numbers. With conditionals on integers this is an exact mass of images, and with densities (such as
    :class:`GaussianMixtureConditional`) a base of flows on the reals. ``log_prob`` is one pass of the network. A
    :class:`PixelNetwork` is sampled from with caches, a pixel costing its own column of each layer; any other causal
    network by the definition, with a pass of the network for each variable.

    Args:
        shape: channels, height and width.
        conditional: the distribution of one variable given parameters.
        network: a factory of causal networks of images, called as ``network(C, V P, context)``, where a pixel is ``V``
            variables; or a ready-made one. See :class:`PixelNetwork`.
        context: a number of features, an image's shape or a space; 0 for none.

    Raises:
        UsageError: if the conditional is neither of a number nor of a pixel, or the network is not causal.
        ShapeError: if the input does not end in ``shape``, or the context is missing or misshapen.

    Source: van den Oord, Kalchbrenner, Kavukcuoglu (2016), arXiv:1601.06759.

    Example:
        >>> from pushforward.distributions import BernoulliMass
        >>> base = PixelDistribution((1, 2, 2), BernoulliMass(), partial(GatedPixelCNN, hidden=4, layers=2))
        >>> base.log_prob(torch.ones(3, 1, 2, 2)).exp()
        tensor([0.0625, 0.0625, 0.0625], grad_fn=<ExpBackward0>)
    """

    reparametrised = False
    like: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        conditional: Conditional,
        network: NetworkFactory | nn.Module = GatedPixelCNN,
        context: Context = 0,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        if len(shape) != 3 or min(shape) < 1:
            raise UsageError(f"{owner} expects shape=(channels, height, width), got {tuple(shape)}")
        if conditional.support.shape not in ((), (shape[0],)):
            raise UsageError(
                f"{owner} expects a conditional of one number, or of the {shape[0]} channels of a pixel, got one of "
                f"shape {tuple(conditional.support.shape)}"
            )
        self.conditional = conditional
        self.numbers = shape[0] if conditional.support.shape else 1
        self.variables = shape[0] // self.numbers
        self.support = conditional.support.with_shape(shape)
        self.context = image_context(context, owner)
        outputs = self.variables * conditional.num_parameters
        self.network = make_network(network, shape[0], outputs, self.context, owner, numbers=self.numbers)
        self.register_buffer("like", torch.zeros(()), persistent=False)
        if isinstance(self.network, PixelNetwork):
            check_sizes(self.network, shape[0], outputs, owner, numbers=self.numbers)
        else:
            self._check_causal()

    def parameters_of(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the conditional's parameters of every variable, ``(..., V, H, W, P)``."""
        outputs = self.network(x, context)
        check_outputs(outputs, -3, self.variables * self.conditional.num_parameters, type(self).__name__)
        return outputs.unflatten(-3, (self.variables, -1)).movedim(-3, -1)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x = x.to(self.like.dtype)
        return self.conditional.log_prob(self._by_variable(x), self.parameters_of(x, context)).sum((-1, -2, -3))

    @torch.no_grad()
    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        sample = partial(self.conditional.sample, temperature=temperature, generator=generator)
        if not is_sweepable(self.network):
            return self._in_turn(sample, batch, context)
        found: list[Tensor] = []

        def choose(variables: slice, parameters: Tensor) -> Tensor:
            drawn = sample(parameters)[0].view(-1, self.numbers)
            found.append(drawn)
            return drawn.t()

        plane = self.event_shape[1:]
        self.network.generate(choose, batch, context, plane=plane)  # type: ignore[operator]
        # (H W V, rows, F) to (rows, V F, H, W).
        drawn = torch.stack(found).unflatten(0, (*plane, self.variables)).permute(3, 2, 4, 0, 1)
        return drawn.reshape(*batch, *self.event_shape)

    def _in_turn(self, sample: Callable[[Tensor], Tensor], batch: torch.Size, context: Tensor | None) -> Tensor:
        """The definition of a draw, for any causal network: one pass of it for each variable."""
        x = self.like.new_zeros(*batch, *self.event_shape)
        for i in range(x.shape[-2]):
            for j in range(x.shape[-1]):
                for v in range(self.variables):
                    drawn = sample(self.parameters_of(x, context)[..., v, i, j, :])
                    x[..., v * self.numbers : (v + 1) * self.numbers, i, j] = drawn.view(*batch, self.numbers)
        return x

    def _by_variable(self, x: Tensor) -> Tensor:
        """The values of each variable: ``(..., C, H, W)``, or ``(..., 1, H, W, C)`` of whole pixels."""
        return x if not self.conditional.support.shape else x.unsqueeze(-4).movedim(-3, -1)

    @torch.no_grad()
    def _check_causal(self) -> None:
        """Raise :class:`UsageError` if the outputs for a variable change with that variable or one behind it, of some
        variables all over the image."""
        channels, height, width = self.event_shape
        count = height * width * self.variables
        chosen = torch.linspace(0, count - 1, min(count, PROBES)).long()
        # In raster order: a pixel's variables side by side.
        changes = torch.zeros(len(chosen), count, self.numbers)
        changes[torch.arange(len(chosen)), chosen] = 1.0
        images = changes.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        distribution, like = moved(self), next(iter(self.network.parameters()), self.like)
        given = None if self.context is None else like.new_zeros(len(images) + 1, *self.context.features_shape)
        rows = torch.cat([torch.zeros(1, *self.event_shape), images]).to(like)
        outputs = distribution.parameters_of(rows, given).permute(0, 2, 3, 1, 4).flatten(1, 3)
        differs = ((outputs[1:] - outputs[:1]).abs() > 1e-5).any(-1)
        too_early = differs & (torch.arange(count) <= chosen[:, None])
        if bool(too_early.any()):
            row, output = torch.nonzero(too_early)[0].tolist()
            raise UsageError(
                f"{type(self).__name__} expects a causal network, whose outputs for a variable depend on those before "
                f"it in raster order, got {type(self.network).__name__}, whose outputs for variable {output} depend on "
                f"variable {int(chosen[row])}"
            )
