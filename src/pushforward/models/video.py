"""VideoFlow: clips, frame after frame."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.flows.video.frames_in_turn import FramesInTurn
from pushforward.flows.video.next_latents import NextLatents
from pushforward.models.images.architecture import Shape, Step, couplings, glow_steps, image_shape, squeezable
from pushforward.models.registry import model
from pushforward.networks import CellMiddles, GatedConvNet, NearestCellMiddle
from pushforward.scalar import Affine, Composition, RationalQuadraticSpline
from pushforward.spaces import Integers
from pushforward.transforms import Chain, EachFrame, Logit, Transform, VariationalDequantization, masks


@model("videoflow", clip=1, first=0, memory=1)
def videoflow(
    clip: Sequence[int] = (4, 1, 8, 8),
    levels: int = 256,
    first: int = 1,
    layers: int = 4,
    hidden: int = 48,
    scales: int = 2,
    memory: int = 2,
    components: int = 1,
) -> Flow:
    """VideoFlow: the future of a clip given its first frames, by flows of the frames with latents in turn.

    Each frame passes variational dequantization, a logit and Glow's steps at several scales. The latents of a level are
    normal, their means and scales decided by those of the frames before and of the levels above; the mean is moved on
    from the frame before. Frames before are seen without their noise, as the given ones are. The event is the frames
    that are scored, ``(frames - first, C, H, W)``, so that bits per dimension are those of scored frames alone, and the
    context is the first ones, ``(first, C, H, W)``.

    Args:
        clip: frames of a whole clip with the first ones, channels, height and width, ``(T, C, H, W)``.
        levels: how many values a pixel takes.
        first: how many frames are given; 0 for clips from nothing.
        layers: steps of flow at each scale.
        hidden: width of the networks.
        scales: how often the frame is squeezed and half of it factored out.
        memory: how many frames before a network of the latents sees.
        components: futures that the latents of a level tell apart; 1 in the paper.

    Raises:
        UsageError: if an option does not fit.

    Source: Kumar, Babaeizadeh, Erhan, Finn, Levine, Dinh, Kingma (2019), arXiv:1903.01434.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.models.videoflow(clip=(5, 1, 8, 8), levels=2, first=2, layers=1, hidden=8)
        >>> flow.sample(3, torch.zeros(2, 1, 8, 8), temperature=0.7).shape
        torch.Size([3, 3, 1, 8, 8])
    """
    if len(clip) != 4 or clip[0] <= first:
        raise UsageError(
            f"videoflow expects clip=(frames, channels, height, width) with more frames than first={first}, got "
            f"{tuple(clip)}"
        )
    frames, shape = clip[0] - first, image_shape(clip[1:])
    network = partial(GatedConvNet, hidden=hidden, blocks=2)
    # At full resolution, where most of the time would go, for what is simple.
    small = partial(GatedConvNet, hidden=max(1, hidden // 2), blocks=1)
    step = glow_steps(Affine(), network, 0, layers)
    latents = partial(NextLatents, network=network, memory=memory, components=components, features=hidden)
    # The noise begins as a logistic, and what is near certain must fit a normal: a pixel's gap is paid in all of them.
    # At best 0.0016 bits a pixel of two levels; 0.0039 with a bound of 6, which leaves tails, 0.023 without a spline.
    shaped = Composition(RationalQuadraticSpline(bins=6, bound=9.0), Affine())
    noise = Chain(couplings(masks.checkerboard(shape), shaped, small, shape, 2))
    transforms, split = _levels(shape, scales, step)
    base = FramesInTurn(
        [Chain([Logit(0.01), *transforms[0]]), *map(Chain, transforms[1:])],
        [latents(own, kept) for own, kept in split],
        frames,
        first,
        NearestCellMiddle(levels),
    )
    start = EachFrame(VariationalDequantization(levels, noise), frames)
    if not first:
        return Flow(start, base)
    return Flow(start, base, context=Integers(0, levels - 1, (first, *shape)), embedding=CellMiddles(levels))


def _levels(shape: Shape, scales: int, step: Step) -> tuple[list[list[Transform]], list[tuple[Shape, int]]]:
    """The transforms of each level, and for each the shape of its latents with the channels that are kept."""
    parts = step(shape)
    shape = Chain(parts).forward_shape(shape)
    if scales == 1 or not squeezable(shape) or shape[0] < 2:
        return [parts], [(shape, 0)]
    kept = shape[0] // 2
    transforms, split = _levels(Shape((kept, *shape[1:])), scales - 1, step)
    return [parts, *transforms], [(Shape((shape[0] - kept, *shape[1:])), kept), *split]
