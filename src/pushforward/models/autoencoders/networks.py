"""Encoders and decoders by name, or a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from pushforward.errors import UsageError
from pushforward.models.kinds import image_width
from pushforward.models.vectors.standardised import widths
from pushforward.networks import DenseDecoder, DenseEncoder, GatedConvDecoder, GatedConvEncoder
from pushforward.spaces import Space
from pushforward.spaces import as_context as context_space
from pushforward.transforms.surjections.variational_encoding import emitted_shape

NAMES = ("mlp", "convolutional")


@dataclass(frozen=True)
class Networks:
    """What the networks of an autoencoder share.

    Attributes:
        events: the space of the events, as the encoder meets them.
        context: what both networks see besides, the shape of a context; ``()`` for none.
        hidden: widths of fully connected layers, channels of convolutional ones; one number stands for two layers.
        center, unit: the shift and scale that bring the events to about -1 ... 1.
    """

    events: Space
    context: tuple[int, ...]
    hidden: int | Sequence[int]
    center: float
    unit: float

    def encoder(self, kind: str | nn.Module) -> nn.Module:
        """The encoder of a name, or the one given.

        Raises:
            UsageError: if there is none of the name, or no width is given.
        """
        scale = {"center": self.center, "unit": self.unit}
        shape = self.events.shape
        if isinstance(kind, nn.Module):
            return kind
        if _checked("encoder", kind) == "mlp":
            if not widths(self.hidden):
                raise UsageError("an encoder expects hidden of at least one width, that of its features, got none")
            *before, last = widths(self.hidden)
            return DenseEncoder(shape, last, self.context, hidden=before, **scale)
        channels = image_width(self.hidden)
        return GatedConvEncoder(shape, 8 * channels, self.context, hidden=channels, **scale)

    def decoder(self, kind: str | nn.Module, latents: int, shape: Sequence[int]) -> nn.Module:
        """The decoder of a name, which emits ``shape``, or the one given."""
        if isinstance(kind, nn.Module):
            return kind
        if _checked("decoder", kind) == "mlp":
            return DenseDecoder(latents, shape, self.context, hidden=widths(self.hidden))
        return GatedConvDecoder(latents, shape, self.context, hidden=image_width(self.hidden))

    def features(self, encoder: nn.Module) -> int:
        """How many features an encoder gives.

        Raises:
            UsageError: if it does not give vectors, or does not take the events.
        """
        given = emitted_shape(encoder, self.events, context_space(self.context or 0))
        if len(given) != 1:
            raise UsageError(f"encoder expects a module that gives vectors (batch, features), got {tuple(given)}")
        return given[0]


def _checked(name: str, kind: str) -> str:
    if kind not in NAMES:
        raise UsageError(f"{name} expects {', '.join(map(repr, NAMES))} or a module, got {kind!r}")
    return kind
