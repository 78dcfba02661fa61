"""Categories into continuous space, by an encoder that is learned with the flow behind it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pushforward.accuracy import Accuracy, Draws
from pushforward.errors import UsageError
from pushforward.numerics import bounded, uniform_noise
from pushforward.spaces import Categories, Reals
from pushforward.transforms.base import Transform

DRAWS = 64
"""How many codes are tried for one that is read back right."""

SURE = 0.9
"""The probability of a category from which on its code is taken for one that is read back right."""

MAX_LOG_SCALE = 7.0


class CategoricalEncoding(Transform):
    r"""A learned, random code for each category, ``z_d ~ q(z | x_d)``, as the first part of a categorical flow.

    Every category has a logistic distribution with learned means and scales in ``dimensions`` dimensions. A code is
    read back by the posterior ``p(x_d | z_d)``, proportional to ``p(x_d) q(z_d | x_d)`` with learned ``p``, so

    .. math:: \log P(x) \ge E_q \Bigl[\log p(z) + \sum_d \log p(x_d \mid z_d) - \log q(z_d \mid x_d)\Bigr]:

    a lower bound, as ``accuracy`` says; ``log_det`` is the sum. Training pulls the codes of different categories
    apart or lets them overlap, as the flow behind finds it easier. The inverse takes the most probable category.

    Args:
        features: the number of variables ``D``.
        classes: the number of categories ``K``.
        dimensions: the dimensions ``d`` of each variable's code.

    Shapes: integers ``(..., D)`` to codes ``(..., D d)``, the dimensions of a variable together.

    Raises:
        UsageError: for fewer than two classes, or no dimension.

    Source: Lippe, Gavves 2021, Categorical Normalizing Flows via Continuous Transformations, arXiv:2006.09790.

    Example:
        >>> layer = CategoricalEncoding(3, 5, dimensions=2)
        >>> z, log_det = layer(torch.tensor([[0, 4, 2]]))
        >>> z.shape, log_det.shape
        (torch.Size([1, 6]), torch.Size([1]))
    """

    accuracy = Accuracy.LOWER_BOUND
    draws = Draws.FORWARD
    reads_back = False

    def __init__(self, features: int, classes: int, dimensions: int = 2) -> None:
        super().__init__()
        if classes < 2 or dimensions < 1 or features < 1:
            raise UsageError(
                f"CategoricalEncoding expects features, dimensions >= 1 and classes >= 2, got {features}, {dimensions} "
                f"and {classes}"
            )
        self.levels = classes
        self.features, self.dimensions = features, dimensions
        self.domain, self.codomain = Categories(classes, (features,)), Reals((features * dimensions,))
        self.means = nn.Parameter(torch.randn(classes, dimensions))
        self.log_scales = nn.Parameter(torch.full((classes, dimensions), -2.0))
        self.logits = nn.Parameter(torch.zeros(classes))

    def forward(
        self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(x, context, self.domain)
        index = x.long()
        z = self._codes(index, generator)
        joint = self._log_joint(z)
        log_prior = torch.log_softmax(self.logits, -1)[index]
        # log p(x | z) - log q(z | x) = log p(x) - log sum_k p(k) q(z | k): the densities of x itself cancel.
        return z.flatten(-2), (log_prior - torch.logsumexp(joint, -1)).sum(-1)

    def inverse(
        self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        self.check(z, context, self.codomain)
        joint = self._log_joint(z.unflatten(-1, (self.features, self.dimensions)))
        index = joint.argmax(-1)
        log_prior = torch.log_softmax(self.logits, -1)[index]
        return index.to(z.dtype), -(log_prior - torch.logsumexp(joint, -1)).sum(-1)

    @torch.no_grad()
    def encode(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Return a code that is read back as ``x``, also when rounding has moved it a little: the first of a few draws
        that is surely, or else the surest of the draws and the category's middle."""
        self.check(x, context, self.domain)
        index = x.long()
        z = self.means[index]
        sureness = self._sureness(z, index)
        for draw in range(DRAWS):
            # Wider and wider: where categories overlap, the sure codes are beyond the middles.
            code = self._codes(index, generator, 1.0 + draw / 8)
            found = self._sureness(code, index)
            better = (sureness < SURE) & (found > sureness)
            z, sureness = torch.where(better.unsqueeze(-1), code, z), torch.where(better, found, sureness)
        return z.flatten(-2)

    def _sureness(self, z: Tensor, index: Tensor) -> Tensor:
        """The probability ``p(x_d | z_d)`` of the category."""
        return torch.softmax(self._log_joint(z), -1).gather(-1, index.unsqueeze(-1)).squeeze(-1)

    def decode(self, z: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        self.check(z, context, self.codomain)
        return self._log_joint(z.unflatten(-1, (self.features, self.dimensions))).argmax(-1).to(z.dtype)

    def initialise(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        return self(x, context)[0]

    def forward_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.codomain.shape

    def inverse_shape(self, shape: Sequence[int]) -> torch.Size:
        return self.domain.shape

    def _codes(self, index: Tensor, generator: torch.Generator | None, width: float = 1.0) -> Tensor:
        noise = uniform_noise(self.means, torch.Size([*index.shape, self.dimensions]), generator)
        return self.means[index] + width * self._log_scales()[index].exp() * torch.logit(noise)

    def _log_joint(self, z: Tensor) -> Tensor:
        """``log p(k) + log q(z_d | k)`` for every category ``k``, ``(..., D, K)``."""
        log_scales = self._log_scales()
        standard = (z.unsqueeze(-2) - self.means) * torch.exp(-log_scales)
        log_density = F.logsigmoid(standard) + F.logsigmoid(-standard) - log_scales
        return torch.log_softmax(self.logits, -1) + log_density.sum(-1)

    def _log_scales(self) -> Tensor:
        return bounded(self.log_scales, MAX_LOG_SCALE)
