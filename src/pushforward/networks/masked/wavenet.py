"""Causal dilated convolutions, for waveforms and other series."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from itertools import zip_longest

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.errors import UsageError
from pushforward.networks.causal import CausalNetwork, Choose
from pushforward.networks.context import Context, check_context


class WaveNet(CausalNetwork):
    r"""Gated convolutions of two taps that lie farther and farther apart; output ``t`` sees the inputs before ``t``.

    .. math:: h_0 = W x_{t-1}, \qquad g_l = \tanh(a_l) \, \sigma(b_l), \quad
        (a_l, b_l)_t = U_l h_{l-1, t-d_l} + V_l h_{l-1, t} + C_l c, \qquad h_l = h_{l-1} + R_l g_l

    and the output is a network of ``sum_l S_l g_l`` at each moment by itself. It sees ``1 + sum_l d_l`` moments back.
    The last layer starts at zero.

    :meth:`forward` is one pass over all moments. :meth:`generate` keeps of every layer the ``d_l`` moments before, so
    that a new one costs its own column of every layer.

    Args:
        inputs: the number of variables ``D``, moments in their order.
        outputs: the number of outputs, a multiple ``P`` of the variables, in the order of :class:`CausalNetwork`.
        context: features of the context, 0 for none; every output sees all of it.
        hidden: the channels of every layer.
        dilations: how far apart the taps of each layer lie, ``d_l``.
        numbers: how many numbers a variable is, ``F``.

    Shapes: ``x`` is ``(..., D F)``, the result ``(..., P D)``, by variable as in :class:`CausalNetwork`.

    Raises:
        UsageError: if the sizes do not fit each other, or a dilation is below 1.
        ShapeError: if the context is missing or does not fit.

    Source: van den Oord et al. (2016), WaveNet: a generative model for raw audio, arXiv:1609.03499; kept columns: Paine
    et al. (2016), Fast WaveNet generation algorithm, arXiv:1611.09482.

    Example:
        >>> from pushforward.scalar import Affine
        >>> from pushforward.transforms import Autoregressive
        >>> layer = Autoregressive(64, Affine(), WaveNet(64, 128, hidden=8))
        >>> layer(torch.ones(5, 64))[0].shape
        torch.Size([5, 64])
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        context: Context = 0,
        *,
        hidden: int = 32,
        dilations: Sequence[int] = (1, 2, 4, 8, 16, 32),
        numbers: int = 1,
    ) -> None:
        super().__init__(inputs, outputs, context, numbers)
        if hidden < 1 or not dilations or min(dilations) < 1:
            raise UsageError(
                f"WaveNet expects hidden and dilations of at least 1, got hidden={hidden}, dilations={tuple(dilations)}"
            )
        features = 0 if self.context is None else self.context.features_shape[0]
        self.first = nn.Linear(numbers, hidden)
        self.layers = nn.ModuleList(DilatedLayer(hidden, dilation, features) for dilation in dilations)
        self.skips = nn.ModuleList(nn.Linear(hidden, hidden) for _ in dilations)
        # Behind the last layer nothing goes on.
        self.residuals = nn.ModuleList(nn.Linear(hidden, hidden) for _ in dilations[1:])
        self.middle = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, self.per_input)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        x = self.checked(x, context)
        batch = x.shape[:-1]
        given = _of_rows(context, batch)
        moments = x.reshape(-1, self.inputs, self.numbers)
        # What stands at a moment is the one before it.
        h = self.first(F.pad(moments[:, :-1], (0, 0, 1, 0)).to(self.first.weight.dtype))
        rows = None if given is None else given[:, None]

        def gated(layer: DilatedLayer, h: Tensor) -> Tensor:
            past = F.pad(h, (0, 0, layer.dilation, 0))[:, : self.inputs]
            return layer(h, past, rows)

        return self._through(h, gated).transpose(1, 2).reshape(*batch, self.outputs)

    def generate(self, choose: Choose, batch: torch.Size, context: Tensor | None = None) -> None:
        check_context(context, self.context, type(self).__name__)
        given = _of_rows(context, batch)
        weight = self.first.weight
        chosen = weight.new_zeros(self.numbers, math.prod(batch))
        nothing = weight.new_zeros(math.prod(batch), weight.shape[0])
        queues = {layer: deque([nothing] * layer.dilation) for layer in self.layers}  # type: ignore[operator]

        def gated(layer: DilatedLayer, h: Tensor) -> Tensor:
            queues[layer].append(h)
            return layer(h, queues[layer].popleft(), given)

        for moment in range(self.inputs):
            outputs = self._through(self.first(chosen.t()), gated)
            chosen = choose(slice(moment, moment + 1), outputs[None])

    def _through(self, h: Tensor, gated: Callable[[DilatedLayer, Tensor], Tensor]) -> Tensor:
        """Return the outputs of one moment or of many; ``gated`` knows what stands before them in each layer."""
        skipped = torch.zeros_like(h)
        for layer, skip, residual in zip_longest(self.layers, self.skips, self.residuals):
            values = gated(layer, h)  # type: ignore[arg-type]
            skipped = skipped + skip(values)
            h = h if residual is None else h + residual(values)
        return self.last(F.relu(self.middle(F.relu(skipped))))


class DilatedLayer(nn.Module):
    """One gated convolution of two taps, ``past`` and ``h``, which may be of one moment or of many."""

    def __init__(self, hidden: int, dilation: int, context: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.now, self.before = nn.Linear(hidden, 2 * hidden), nn.Linear(hidden, 2 * hidden, bias=False)
        self.context = nn.Linear(context, 2 * hidden, bias=False) if context else None

    def forward(self, h: Tensor, past: Tensor, context: Tensor | None) -> Tensor:
        """Return the gated values, of the shape of ``h``."""
        both = self.now(h) + self.before(past)
        if self.context is not None and context is not None:
            both = both + self.context(context)
        value, gate = both.chunk(2, -1)
        return torch.tanh(value) * torch.sigmoid(gate)


def _of_rows(context: Tensor | None, batch: torch.Size) -> Tensor | None:
    """The context of each row of the flattened batch, ``(rows, C)``."""
    if context is None:
        return None
    return context.expand(*batch, context.shape[-1]).reshape(math.prod(batch), context.shape[-1])
