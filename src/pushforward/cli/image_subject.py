"""A model of images as what a picture is drawn of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pushforward.cli.runs import Run
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.plots import images_beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_IMAGES = 64


@dataclass(frozen=True)
class ImageSubject:
    """A flow of images with test images ``(n, C, H, W)``, and their labels where the flow is given them."""

    run: Run
    flow: Flow
    data: Tensor
    labels: Tensor | None
    seed: int

    def draw(self, kind: str) -> Figure:
        """Draw test images, and samples beside them, of the same labels where there are labels.

        Raises:
            UsageError: for another kind of picture.
        """
        if kind != "samples":
            raise UsageError(f"plot draws samples of models of images, and no {kind}")
        torch.manual_seed(self.seed)
        data = self.data[:_IMAGES]
        labels = None if self.labels is None else self.labels[:_IMAGES]
        samples = self.flow.sample(len(data)) if labels is None else self.flow.sample((), labels)
        return images_beside(data, samples, maximum=None if self.run.levels is None else self.run.levels - 1)
