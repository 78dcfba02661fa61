"""A transform of images on each frame of a clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pushforward.errors import UsageError
from pushforward.spaces import Space
from pushforward.transforms.base import Transform


class EachFrame(Transform):
    r"""One transform on each of the frames of a clip, ``z_t = f(x_t)`` and ``log_det = sum_t log |det df/dx_t|``.

    Args:
        transform: a transform of frames ``(C, H, W)``, without a context.
        frames: how many frames a clip ``(frames, C, H, W)`` has.

    Raises:
        UsageError: if the transform takes a context, or there is no frame.

    Source: Kumar, Babaeizadeh, Erhan, Finn, Levine, Dinh, Kingma (2019), VideoFlow, arXiv:1903.01434, section 4.1.

    Example:
        >>> from pushforward.transforms import Squeeze
        >>> z, log_det = EachFrame(Squeeze(), 3)(torch.zeros(5, 3, 1, 4, 4))
        >>> z.shape, log_det.shape
        (torch.Size([5, 3, 4, 2, 2]), torch.Size([5]))
    """

    def __init__(self, transform: Transform, frames: int) -> None:
        super().__init__()
        if frames < 1:
            raise UsageError(f"EachFrame expects at least 1 frame, got {frames}")
        if transform.context is not None:
            raise UsageError("EachFrame expects a transform without a context, got one that takes a context")
        self.transform = transform
        self.frames = frames
        self.domain, self.codomain = self._of_clips(transform.domain), self._of_clips(transform.codomain)
        self.accuracy, self.draws = transform.accuracy, transform.draws
        self.reads_back, self.reparametrised = transform.reads_back, transform.reparametrised
        self.tolerance, self.sequential = transform.tolerance, transform.sequential
        self.uses_batch, self.capturable = transform.uses_batch, transform.capturable

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        x, _ = self.check(x, context, self.domain)
        z, log_det = self.transform(x, None, generator)
        return z, log_det.sum(-1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        z, _ = self.check(z, context, self.codomain)
        x, log_det = self.transform.inverse(z, None, generator)
        return x, log_det.sum(-1)

    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        x, _ = self.check(x, context, self.domain)
        return self.transform.encode(x, None, generator)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        z, _ = self.check(z, context, self.codomain)
        return self.transform.decode(z, None, generator)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self.transform.initialise(x)

    def initialise_inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self.transform.initialise_inverse(z)

    def blocks(self) -> Iterator[Transform]:
        yield from self.transform.blocks()

    @property
    def log_det_bias(self) -> float:
        return self.frames * self.transform.log_det_bias

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        return torch.Size((self.frames, *self.transform.forward_shape(shape[1:])))

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        return torch.Size((self.frames, *self.transform.inverse_shape(shape[1:])))

    def forward_space(self, space: Space) -> Space:
        return self._of_clips(self.transform.forward_space(space.with_shape(space.shape[1:])))

    def inverse_space(self, space: Space) -> Space:
        return self._of_clips(self.transform.inverse_space(space.with_shape(space.shape[1:])))

    def _of_clips(self, space: Space) -> Space:
        return space.with_shape((self.frames, *space.shape))
