"""A flow that is fitted to what another one leaves, once that one has been trained."""

from __future__ import annotations

from typing import Any

import torch

from pushforward.flows.flow import Flow


class ExPostFlow(Flow):
    r"""A flow as the base of another one, fitted to the latents of data when the training of that one has ended.

    Its transform starts from data, as ``Standardise`` or ``NormalScores`` do, and stays as it was made until
    :meth:`finish`, which ``fit`` calls at the end, places it, and then lets the base be fitted to what it leaves. While
    an autoencoder is trained its latents move; what is fitted to them afterwards is the distribution that they have.

    Args:
        transform: from the latent of the flow before to its own, of parts that start from data; a list is chained.
        base: its base, as a rule a ``VineCopula``.

    Raises:
        UsageError: if there is no transform, or it does not lead onto the base's space.
        DataError: from :meth:`finish`, of an empty batch.

    Source: Ghosh, Sajjadi, Vergari, Black, Schoelkopf (2020), arXiv:1903.12436, section 4 (ex-post density estimation).

    Example:
        >>> import torch, pushforward as pf
        >>> base = pf.distributions.StandardNormal((2,))
        >>> prior = pf.flows.ExPostFlow([pf.transforms.Standardise(2)], base)
        >>> prior.finish(5 + torch.randn(1000, 2))
        >>> bool((prior.sample(1000).mean(0) > 4.5).all())
        True
    """

    finishes = True

    def initialise(self, x: Any, context: Any = None) -> None:
        """The base begins anew; no transform is placed by latents that are yet to be trained."""
        self.base.initialise(x)

    def finish(self, x: Any, context: Any = None, generator: torch.Generator | None = None) -> None:
        """Place the transform, also where data have placed it before, and fit the base."""
        for name, placed in self.transform.named_buffers():
            if name.endswith("initialised"):
                placed.fill_(False)
        super().initialise(x, context)
        super().finish(x, context, generator)
