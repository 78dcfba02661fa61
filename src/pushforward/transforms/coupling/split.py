"""How a mask splits an event into the part that conditions and the part that changes, and joins them again.

A partition chooses the cheapest split that its mask allows, so that no arithmetic is spent on what does not change:
slices where the mask is two runs, an index where it is not, and only for masks in the image plane, where a
convolution needs the pixels in their places, the picture with the changed pixels set to zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pushforward.errors import UsageError
from pushforward.kernels.selection import Selection
from pushforward.networks.factory import check_outputs
from pushforward.spaces import Space


class Partition(nn.Module):
    """A split of an event in two, by a boolean mask that is ``True`` where the event is kept."""

    inputs: int
    outputs: int
    changed_shape: torch.Size

    def condition_space(self, space: Space) -> Space:
        """Return the space of the kept part of events from ``space``."""
        raise NotImplementedError("a Partition is abstract")

    def condition(self, x: Tensor, seen: Space) -> Tensor:
        """Return what the conditioner sees: the kept part, from the space ``seen``, as a network should see it."""
        raise NotImplementedError("a Partition is abstract")

    def changed(self, x: Tensor) -> Tensor:
        """Return the elements that change."""
        raise NotImplementedError("a Partition is abstract")

    def parameters_of(self, outputs: Tensor, count: int) -> Tensor:
        """Arrange a network's outputs as ``changed(x).shape + (count,)``."""
        raise NotImplementedError("a Partition is abstract")

    def merge(self, x: Tensor, changed: Tensor) -> Tensor:
        """Return ``x`` with its changed elements replaced."""
        raise NotImplementedError("a Partition is abstract")


def partition(mask: Tensor) -> Partition:
    """Choose the split for a mask of shape ``(D,)`` or ``(C, H, W)``.

    Raises:
        UsageError: if the mask is not boolean, is of another shape, or keeps all or nothing.
    """
    if mask.dtype != torch.bool:
        raise UsageError(f"a mask expects dtype bool (True where the event is kept), got {mask.dtype}")
    if mask.dim() not in (1, 3):
        raise UsageError(f"a mask expects shape (D,) or (C, H, W), got {tuple(mask.shape)}")
    if mask.all() or not mask.any():
        raise UsageError("a mask must keep some dimensions and change others, got one that is all True or all False")
    if mask.dim() == 1:
        return IndexPartition(mask, dim=-1, plane=torch.Size())
    by_channel = mask.flatten(1)
    if bool((by_channel == by_channel[:, :1]).all()):
        return IndexPartition(by_channel[:, 0], dim=-3, plane=mask.shape[1:])
    return PlanePartition(mask)


class IndexPartition(Partition):
    """A split along one dimension: the features of a vector or the channels of an image."""

    def __init__(self, kept: Tensor, dim: int, plane: torch.Size) -> None:
        super().__init__()
        self.dim = dim
        self.inputs, self.outputs = int(kept.sum()), int((~kept).sum())
        self.changed_shape = torch.Size([self.outputs, *plane])
        self.kept_first = bool(kept[: self.inputs].all())
        self.kept_last = bool(kept[self.outputs :].all())
        self.kept = Selection(torch.nonzero(kept)[:, 0], len(kept), dim)
        self.rest = Selection(torch.nonzero(~kept)[:, 0], len(kept), dim)

    def condition_space(self, space: Space) -> Space:
        return space.select(self.kept.index.tolist())

    def condition(self, x: Tensor, seen: Space) -> Tensor:
        return seen.features(self.unchanged(x))

    def unchanged(self, x: Tensor) -> Tensor:
        """Return the elements that are kept."""
        if self.kept_first:
            return x.narrow(self.dim, 0, self.inputs)
        if self.kept_last:
            return x.narrow(self.dim, self.outputs, self.inputs)
        return self.kept.pick(x)

    def changed(self, x: Tensor) -> Tensor:
        if self.kept_first:
            return x.narrow(self.dim, self.inputs, self.outputs)
        if self.kept_last:
            return x.narrow(self.dim, 0, self.outputs)
        return self.rest.pick(x)

    def parameters_of(self, outputs: Tensor, count: int) -> Tensor:
        check_outputs(outputs, self.dim, self.outputs * count, "Coupling")
        if self.dim == -1:
            return outputs.unflatten(-1, (self.outputs, count))
        return outputs.unflatten(-3, (count, self.outputs)).movedim(-4, -1)

    def merge(self, x: Tensor, changed: Tensor) -> Tensor:
        if self.kept_first:
            return torch.cat([self.unchanged(x), changed], dim=self.dim)
        if self.kept_last:
            return torch.cat([changed, self.unchanged(x)], dim=self.dim)
        return self.rest.put(x, changed)


class PlanePartition(Partition):
    """A split of the pixels of an image: the conditioner sees the picture with the changed pixels at zero."""

    kept: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.inputs = self.outputs = mask.shape[0]
        self.rest = Selection(torch.nonzero(~mask.flatten())[:, 0], mask.numel(), -1)
        self.changed_shape = self.rest.index.shape
        self.register_buffer("kept", mask.to(torch.get_default_dtype()), persistent=False)

    def condition_space(self, space: Space) -> Space:
        return space

    def condition(self, x: Tensor, seen: Space) -> Tensor:
        features = seen.features(x)
        if features.shape[-3] == x.shape[-3]:
            return features * self.kept
        return features * self.kept.repeat_interleave(features.shape[-3] // x.shape[-3], 0)

    def changed(self, x: Tensor) -> Tensor:
        return self.rest.pick(x.flatten(-3))

    def parameters_of(self, outputs: Tensor, count: int) -> Tensor:
        check_outputs(outputs, -3, self.outputs * count, "Coupling")
        by_parameter = outputs.unflatten(-3, (count, self.outputs)).flatten(-3)
        return self.rest.pick(by_parameter).movedim(-2, -1)

    def merge(self, x: Tensor, changed: Tensor) -> Tensor:
        return self.rest.put(x.flatten(-3), changed).unflatten(-1, x.shape[-3:])
