"""A model of clips as what a picture is drawn of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pushforward.cli.given_frames import given_frames
from pushforward.cli.runs import Run
from pushforward.errors import UsageError
from pushforward.flows.flow import Flow
from pushforward.plots import futures_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FUTURES = 8


@dataclass(frozen=True)
class ClipSubject:
    """A flow of clips with whole test clips ``(n, T, C, H, W)``."""

    run: Run
    flow: Flow
    data: Tensor
    seed: int

    def draw(self, kind: str) -> Figure:
        """Draw the first test clip, and futures of its first frames.

        Raises:
            UsageError: for another kind of picture.
        """
        if kind != "frames":
            raise UsageError(f"plot draws frames of models of clips, and no {kind}; sample -o x.gif shows samples")
        given = given_frames(self.flow)
        clip = self.data[0]
        torch.manual_seed(self.seed)
        futures = self.flow.sample(_FUTURES, clip[:given] if given else None)
        return futures_of(clip, futures, given=given, maximum=None if self.run.levels is None else self.run.levels - 1)
