"""The latents of the next frame at one level, given those of the frames before and of the levels above."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pushforward.distributions.continuous.learned_normal import bounded_log_scale, log_normal
from pushforward.distributions.discrete.mass import gumbel_argmax
from pushforward.errors import UsageError
from pushforward.flows.video.windows import frames_before
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.networks.images.convolution import ChannelConv2d, over_batches
from pushforward.numerics import randn, sum_event
from pushforward.parts import ModulePart


class NextLatents(ModulePart):
    r"""A mixture of normals of the next frame's latents whose means are moved on from the frame before.

    ``p(z_t | c) = sum_k pi_k(c) N(z_t; z_{t-1} + delta_k(c), sigma_k(c))``, where ``c`` are the latents ``z_{t-1} ...
    z_{t-memory}`` of this level and ``h_t``, what is kept of the frame for the levels above. The paper's is that of one
    component. One choice is made for all of a frame, so that several components are several futures; the log-scale is
    bounded to +-7. The network sees the frames before as channels, a convolution in time as long as the memory, with
    a channel for each that says whether there is such a frame; the last convolution sees what the network makes of them
    and the frames themselves.

    Args:
        shape: ``(C, H, W)`` of the latents of one frame.
        kept: channels of what is kept for the levels above; 0 at the top.
        network: a network factory, called as ``network(memory * (C + 1) + kept, features, 0)``.
        memory: how many frames before are seen.
        components: how many futures are told apart.
        features: channels between the network and the last convolution.

    Raises:
        UsageError: if there is no memory or no component.

    Source: Kumar, Babaeizadeh, Erhan, Finn, Levine, Dinh, Kingma (2019), VideoFlow, arXiv:1903.01434, section 4.2; the
    mixture is ours.

    Example:
        >>> from functools import partial
        >>> from pushforward.networks import GatedConvNet
        >>> latents = NextLatents((2, 4, 4), 2, partial(GatedConvNet, hidden=4, blocks=1))
        >>> latents.score(torch.zeros(5, 3, 2, 4, 4), torch.zeros(5, 3, 2, 4, 4), torch.zeros(5, 3, 2, 4, 4)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        shape: Sequence[int],
        kept: int,
        network: NetworkFactory | nn.Module,
        memory: int = 2,
        components: int = 1,
        features: int = 32,
    ) -> None:
        super().__init__()
        if memory < 1 or components < 1:
            raise UsageError(
                f"NextLatents expects a memory and components of at least 1, got {memory} and {components}"
            )
        self.shape = torch.Size(shape)
        self.kept = kept
        self.memory = memory
        self.components = components
        channels = self.shape[0]
        inputs = memory * (channels + 1) + kept
        self.network = make_network(network, inputs, features, None, "NextLatents")
        # Networks begin at zero, where all components would be one and stay so: this layer tells them apart. It sees
        # the frames themselves too, as a convolution of them moves a picture on exactly.
        self.last = ChannelConv2d(features + inputs, components * (2 * channels + 1), 3)

    def score(self, z: Tensor, past: Tensor, kept: Tensor | None) -> Tensor:
        """Return ``sum_t log p(z_t | z_<t, h_t)``, of the batch's shape.

        Args:
            z: the latents ``(..., T, C, H, W)`` that are scored.
            past: those of all frames but the last, given ones first, ``(..., first + T - 1, C, H, W)``.
            kept: what is kept of each scored frame, ``(..., T, kept, H, W)``; None at the top.
        """
        seen = frames_before(past, self.memory, z.shape[-4])
        log_weight, mean, log_scale = self._mixture(seen, kept)
        log_prob = sum_event(log_normal(z.unsqueeze(-4), mean, log_scale), 3)
        return torch.logsumexp(log_weight + log_prob, -1).sum(-1)

    def draw(self, past: Tensor, kept: Tensor | None, temperature: float, generator: torch.Generator | None) -> Tensor:
        """Draw the latents ``(..., C, H, W)`` of the frame behind ``past``; the temperature scales the spread of each
        component, and a low one chooses the likelier futures."""
        seen = frames_before(past, self.memory, 1).squeeze(-4)
        log_weight, mean, log_scale = self._mixture(seen, kept)
        chosen = gumbel_argmax(log_weight, temperature, generator)[..., None, None, None, None]
        index = chosen.expand(*mean.shape[:-4], 1, *self.shape)
        mean, log_scale = (values.expand(*mean.shape).gather(-4, index).squeeze(-4) for values in (mean, log_scale))
        return mean + temperature * torch.exp(log_scale) * randn(mean, mean.shape, generator)

    def _mixture(self, seen: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights ``(..., K)``, means and log-scales ``(..., K, C, H, W)`` of frames."""
        inputs = seen if kept is None else torch.cat([seen, kept], -3)
        features = torch.cat([self.network(inputs), inputs], -3)
        answer = over_batches(self.last, features).unflatten(-3, (self.components, -1))
        channels = self.shape[0]
        change, raw_log_scale, logits = answer.split([channels, channels, 1], -3)
        before = seen[..., None, :channels, :, :]
        return torch.log_softmax(logits.mean((-3, -2, -1)), -1), before + change, bounded_log_scale(raw_log_scale)
