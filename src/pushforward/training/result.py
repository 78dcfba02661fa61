"""What `fit` returns."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class FitResult:
    """How a training went.

    Attributes:
        history: the rows of ``metrics.csv``: step, epoch, train_loss, val_loss, lr, seconds. Losses are the
            objective's (nats per event for the likelihood); ``val_loss`` is None in rows without a validation.
        best_validation: the lowest validation loss, None where nothing was validated.
        steps: how many steps were taken, those before a resume included.
        seconds: how long it took, those before a resume included.
        stopped: why it ended: ``"steps"``, ``"time"``, ``"patience"`` or ``"interrupted"``.
        earlier_steps: how many of the steps were taken before a resume.
        reconstruction_error: in constant memory, the worst error with which an activation was found again, relative
            where it is above 1; None in ordinary memory, and where none had to be found.

    Example:
        >>> import torch, pushforward as pf
        >>> flow = pf.Flow([pf.transforms.Elementwise(pf.scalar.Affine(), (1,))], pf.distributions.StandardNormal((1,)))
        >>> result = pf.fit(flow, torch.randn(100, 1), max_steps=3, progress=False)
        >>> result.steps, result.stopped, result.history[-1]["step"]
        (3, 'steps', 3)
    """

    history: list[dict[str, float | None]] = field(repr=False)
    best_validation: float | None
    steps: int
    seconds: float
    stopped: str
    earlier_steps: int = 0
    reconstruction_error: float | None = None
