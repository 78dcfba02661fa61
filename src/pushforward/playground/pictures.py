"""A flow of small grey images, whose latents the page moves."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.flows import Flow
from pushforward.playground.messages import Limits
from pushforward.playground.replies import pack

#: Pixels of the largest image that the playground takes.
LARGEST = 32 * 32


class Pictures:
    """A trained flow of grey images, and images to begin with.

    Args:
        flow: a flow of images of one channel whose latents are as many numbers as the image has pixels.
        images: ``(n, 1, H, W)``, integers as the flow takes them.

    Raises:
        UsageError: the flow is of something else, or its images are too large.
    """

    def __init__(self, flow: Flow, images: Tensor) -> None:
        shape = tuple(flow.event_shape)
        if len(shape) != 3 or shape[0] != 1 or flow.levels is None or math.prod(shape) > LARGEST or flow.context:
            raise UsageError(
                f"the playground shows flows of grey images of at most {LARGEST} pixels without a context, "
                f"such as the demo's; this one is of events {shape}"
            )
        self.flow = flow.eval().requires_grad_(False)
        self.images = images
        self._shape = shape
        self.top = flow.levels - 1
        self._latents = [latent.shape[1:] for latent in self._encode(images[:1])]

    @property
    def limits(self) -> Limits:
        return Limits(math.prod(self._shape), [math.prod(shape) for shape in self._latents], len(self.images))

    def facts(self) -> dict[str, object]:
        """What the page must know of the flow: the image's sides, and the shapes of its latents, first level first."""
        return {
            "sides": self._shape[1:],
            "levels": [list(shape) for shape in self._latents],
            "images": len(self.images),
        }

    def drawn(self, index: int) -> bytes:
        """An image of the data, with its latents."""
        return self._reply("encoded", self.images[index])

    def encoded(self, pixels: Sequence[float]) -> bytes:
        """An image of the page, rounded to the brightnesses that the flow knows, with its latents."""
        return self._reply("encoded", (torch.tensor(pixels) * self.top).round().reshape(self._shape))

    @torch.no_grad()
    def decoded(self, latents: Sequence[Sequence[float]]) -> bytes:
        """The image of latents."""
        parts = [torch.tensor(part).reshape(1, *shape) for part, shape in zip(latents, self._latents)]
        image = self.flow.decode(parts[0] if len(parts) == 1 else parts)[0]
        return pack("decoded", {}, {"image": torch.nan_to_num(image[0] / self.top).clamp(0, 1)})

    def _reply(self, kind: str, image: Tensor) -> bytes:
        latents = {f"level {number}": latent[0] for number, latent in enumerate(self._encode(image[None]), 1)}
        return pack(kind, {}, {"image": image[0] / self.top, **latents})

    @torch.no_grad()
    def _encode(self, images: Tensor) -> tuple[Tensor, ...]:
        # Where dequantization draws, an image should have the same latents each time that one comes back to it.
        latents = self.flow.encode(images, generator=torch.Generator().manual_seed(0))
        return (latents,) if isinstance(latents, Tensor) else latents
