"""Clips whose frames are flows of latents that are autoregressive over frames and levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pushforward.accuracy import worst
from pushforward.distributions.base import Distribution, Latents
from pushforward.errors import UsageError
from pushforward.flows.video.next_latents import NextLatents
from pushforward.numerics import check_event
from pushforward.spaces import Reals, fits_shape
from pushforward.transforms.base import Transform

Levels = list[Tensor]


class FramesInTurn(Distribution):
    r"""A multi-scale flow of each frame whose latents are told by the frames before and the levels above.

    ``log p(x_1 ... x_T | x_0) = sum_t [ log |det df/dx_t| + sum_l log p_l(z_t^l | z_<t^l, z_t^>l) ]``, where ``f``
    gives the latents ``z_t^1 ... z_t^L`` of one frame: at each level a transform, then ``z_t^l`` is split off and the
    rest is kept for the levels above. All frames are scored at once and drawn one after the other. The context is the
    first frames, which are given and not scored.

    Args:
        transforms: of the images at each level, the lowest first.
        latents: what is split off at each level; the topmost keeps nothing.
        frames: how many frames are scored, T.
        first: how many frames are given.
        seen: what later frames see of one, a module of frames; by default the frame as it is. Where pixels are integers
            with noise, `NearestCellMiddle` takes it off: what the next frame is does not depend on it.

    Raises:
        UsageError: if the levels do not fit each other, or transforms take contexts or draw.

    Source: Kumar, Babaeizadeh, Erhan, Finn, Levine, Dinh, Kingma (2019), VideoFlow, arXiv:1903.01434.

    Example:
        >>> from functools import partial
        >>> from pushforward.networks import GatedConvNet
        >>> from pushforward.transforms import Squeeze
        >>> network = partial(GatedConvNet, hidden=4, blocks=1)
        >>> clips = FramesInTurn([Squeeze()], [NextLatents((4, 2, 2), 0, network)], frames=3)
        >>> clips.log_prob(torch.zeros(5, 3, 1, 4, 4), torch.zeros(5, 1, 1, 4, 4)).shape
        torch.Size([5])
    """

    def __init__(
        self,
        transforms: Sequence[Transform],
        latents: Sequence[NextLatents],
        frames: int,
        first: int = 1,
        seen: nn.Module | None = None,
    ) -> None:
        super().__init__()
        _check_levels(transforms, latents)
        if frames < 1 or first < 0:
            raise UsageError(f"FramesInTurn expects at least 1 frame behind 0 or more, got {frames} behind {first}")
        self.transforms = nn.ModuleList(transforms)
        self.levels = nn.ModuleList(latents)
        image = transforms[0].inverse_space(Reals(_whole(latents[0])))
        self.support = image.with_shape((frames, *image.shape))
        self.context = image.with_shape((first, *image.shape)) if first else None
        self.accuracy = worst([each.accuracy for each in transforms])
        # No gradient passes through a choice among several futures, nor through frames before that are rounded.
        self.reparametrised = seen is None and all(each.components == 1 for each in latents)
        self.frames = frames
        self.seen = nn.Identity() if seen is None else seen

    @property
    def members(self) -> list[tuple[Transform, NextLatents]]:
        """The transform and the latents of each level, the lowest first."""
        return list(zip(self.transforms, self.levels, strict=True))  # type: ignore[arg-type]

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        total = x.new_zeros(x.shape[:-4])
        before = torch.cat([self._given(x.shape[:-4], context, x), x[..., :-1, :, :, :]], -4)
        for (transform, latents), past in zip(self.members, self._encode(self.seen(before)), strict=True):
            h, log_det = transform(x)
            x, split = _parts(latents, h)
            total = total + log_det.sum(-1) + latents.score(split, past, x if latents.kept else None)
        return total

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        return self._in_turn(batch, [None] * len(self.levels), context, temperature, generator)

    def latents(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, ...]:
        return tuple(self._encode(x))

    def from_latents(
        self, latents: Latents, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Put a clip together from the latents of all levels; a level that is ``None`` is drawn.

        Raises:
            ShapeError: if the latents of a level do not have its shape.
        """
        for each, (_, own) in zip(latents, self.members, strict=True):
            if each is not None:
                check_event(each, torch.Size((self.frames, *own.shape)), "FramesInTurn")
        batch = torch.broadcast_shapes(*[each.shape[:-4] for each in (*latents, context) if each is not None])
        several = [None if each is None else each.expand(*batch, *each.shape[-4:]) for each in latents]
        return self._in_turn(batch, several, context, 1.0, generator)

    def count_latents(self) -> int:
        return len(self.levels)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> None:
        for transform, latents in self.members:
            x, _ = _parts(latents, transform.initialise(x))

    def composition(self) -> list[tuple[str, Any]]:
        return [(f"transforms.{level}", transform) for level, (transform, _) in enumerate(self.members)]

    def compile_blocks(self, **options: Any) -> None:
        """Compile the blocks of each level's transform."""
        for transform, _ in self.members:
            for block in transform.blocks():
                block.compile(**options)

    def _encode(self, x: Tensor) -> Levels:
        """The latents ``(..., frames, C, H, W)`` of each level."""
        found = []
        for transform, latents in self.members:
            x, split = _parts(latents, transform.encode(x))
            found.append(split)
        return found

    def _in_turn(
        self,
        batch: torch.Size,
        given: Latents,
        context: Tensor | None,
        temperature: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Decode frame after frame, drawing what is not among the latents."""
        past = self._encode(self.seen(self._given(batch, context, next(self.parameters()))))
        clip: list[Tensor] = []
        for frame in range(self.frames):
            if clip:
                past = self._behind(past, clip[-1])
            told = [None if each is None else each[..., frame, :, :, :] for each in given]
            clip.append(self._next_frame(past, told, temperature, generator))
        return torch.stack(clip, -4)

    def _given(self, batch: torch.Size, context: Tensor | None, like: Tensor) -> Tensor:
        """The given frames of each clip of a batch, none where none are given."""
        if context is None:
            return like.new_zeros(*batch, 0, *self.event_shape[1:])
        return context.expand(*batch, *context.shape[-4:])

    def _behind(self, past: Levels, image: Tensor) -> Levels:
        """The latents of the frames before with those of one more, as many as are remembered."""
        now = self._encode(self.seen(image.unsqueeze(-4)))
        return [
            torch.cat([before, each], -4)[..., -latents.memory :, :, :, :]
            for (_, latents), before, each in zip(self.members, past, now, strict=True)
        ]

    def _next_frame(self, past: Levels, told: Latents, temperature: float, generator: torch.Generator | None) -> Tensor:
        """The image of the next frame, decoded from the topmost level down."""
        kept: Tensor | None = None
        for (transform, latents), before, split in reversed(list(zip(self.members, past, told, strict=True))):
            if split is None:
                split = latents.draw(before, kept, temperature, generator)
            kept = transform.decode(split if kept is None else torch.cat([kept, split], -3))
        assert kept is not None
        return kept


def _parts(latents: NextLatents, h: Tensor) -> tuple[Tensor, Tensor]:
    """What is kept for the levels above, and the latents of this one."""
    kept, split = h.split([latents.kept, latents.shape[0]], -3)
    return kept, split


def _whole(latents: NextLatents) -> torch.Size:
    """The shape of an image before its latents are split off."""
    return torch.Size((latents.kept + latents.shape[0], *latents.shape[1:]))


def _check_levels(transforms: Sequence[Transform], latents: Sequence[NextLatents]) -> None:
    if not transforms or len(transforms) != len(latents):
        raise UsageError(
            f"FramesInTurn expects a transform and latents for each level, got {len(transforms)} and {len(latents)}"
        )
    for transform in transforms:
        if transform.context is not None or transform.draws:
            raise UsageError(
                f"FramesInTurn expects transforms that neither take a context nor draw, got {type(transform).__name__}"
            )
    if latents[-1].kept:
        raise UsageError(f"FramesInTurn expects a topmost level that keeps nothing, got {latents[-1].kept} channels")
    for below, transform, above in zip(latents, transforms[1:], latents[1:]):
        taken = transform.inverse_shape(_whole(above))
        left = (below.kept, *below.shape[1:])
        if not fits_shape(taken, left):
            raise UsageError(f"FramesInTurn expects levels that fit: one keeps {left}, the next takes {tuple(taken)}")
