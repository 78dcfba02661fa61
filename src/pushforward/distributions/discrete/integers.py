"""Bases on the integers: a mass function whose parameters are learned, conditional, or autoregressive over groups."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from pushforward.distributions.base import Distribution
from pushforward.distributions.discrete.categorical import CategoricalMass
from pushforward.distributions.discrete.discretized_logistic import DiscretizedLogisticMixture
from pushforward.distributions.discrete.mass import MassFunction
from pushforward.errors import UsageError
from pushforward.networks.context import Context, for_network, image_context, vector_context
from pushforward.networks.factory import NetworkFactory, make_network
from pushforward.numerics import sum_event


class Discrete(Distribution):
    r"""Independent integers with learned parameters, ``log P(x) = sum_d log P(x_d; theta_d)``.

    Args:
        mass: the family of each integer's distribution.
        event_shape: the shape of one event.

    Raises:
        ShapeError: if the input does not end in ``event_shape``.

    Source: Hoogeboom, Peters, van den Berg, Welling (2019), Integer Discrete Flows, arXiv:1905.07376, for such bases.

    Example:
        >>> base = Discrete(CategoricalMass(3), (2,))
        >>> base.log_prob(torch.tensor([[0, 2]])).exp()
        tensor([0.1111], grad_fn=<ExpBackward0>)
    """

    reparametrised = False

    def __init__(self, mass: MassFunction, event_shape: Sequence[int]) -> None:
        super().__init__()
        self.mass = mass
        self.support = mass.support.with_shape(event_shape)
        self.parameters_per_element = nn.Parameter(torch.zeros(*self.event_shape, mass.num_parameters))

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        log_mass = self.mass.log_prob(x, self.parameters_per_element.expand(*x.shape, -1))
        return sum_event(log_mass, len(self.event_shape))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        parameters = self.parameters_per_element.expand(*batch, *self.parameters_per_element.shape)
        return self.mass.sample(parameters, temperature=temperature, generator=generator)


class Categorical(Discrete):
    r"""Independent categorical variables with learned probabilities, ``P(x) = prod_d softmax(theta_d)_(x_d)``, values
    ``0 .. classes - 1``.

    Args:
        event_shape: the shape of one event.
        classes: the number of categories ``K``.

    Shapes: ``x`` is ``batch_shape + event_shape``, its log-mass ``batch_shape``.

    Raises:
        UsageError: for fewer than one class.
        ShapeError: if the input does not end in ``event_shape``.

    Source: Bishop (2006), Pattern Recognition and Machine Learning, section 2.2.

    Example:
        >>> Categorical((2,), 4).sample(3).shape
        torch.Size([3, 2])
    """

    def __init__(self, event_shape: Sequence[int], classes: int) -> None:
        super().__init__(CategoricalMass(classes), event_shape)


class DiscretizedLogistic(Discrete):
    r"""Independent integers, each a learned mixture of discretized logistics,
    ``P(x_d) = sum_k w_dk (F_dk(x_d + 1/2) - F_dk(x_d - 1/2))``.

    Args:
        event_shape: the shape of one event.
        components, center, unit, low, high: see :class:`DiscretizedLogisticMixture`.

    Raises:
        UsageError: for no component, a unit that is not positive, or ``low > high``.
        ShapeError: if the input does not end in ``event_shape``.

    Source: Salimans, Karpathy, Chen, Kingma (2017), PixelCNN++, arXiv:1701.05517; as a base, Hoogeboom et al. (2019),
    arXiv:1905.07376.

    Example:
        >>> DiscretizedLogistic((2,), components=3, unit=10.0).log_prob(torch.tensor([1, -7])).shape
        torch.Size([])
    """

    def __init__(
        self,
        event_shape: Sequence[int],
        components: int = 1,
        *,
        center: float = 0.0,
        unit: float = 1.0,
        low: int | None = None,
        high: int | None = None,
    ) -> None:
        super().__init__(
            DiscretizedLogisticMixture(components, center=center, unit=unit, low=low, high=high), event_shape
        )


class GroupedDiscrete(Distribution):
    r"""Integers in groups of channels, each group given the context and the groups before it,

    .. math:: \log P(x \mid c) = \sum_g \sum_{d \in g} \log P\bigl(x_d;\ \theta_d(x_{<g}, c)\bigr).

    Within a group everything is parallel. One group is a conditional base, as factor-out needs it (Hoogeboom et al.
    2019, arXiv:1905.07376); a few groups of the channels that a squeeze makes of neighbouring pixels are a parallel
    multi-scale autoregressive model (Reed et al. 2017, arXiv:1703.03664); groups of one channel are autoregressive.

    Args:
        mass: the family of each integer's distribution.
        event_shape: ``(C, H, W)`` for images or ``(D,)`` for vectors.
        groups: how many channels (or features) each group has, in coding order; they add up to ``C`` (or ``D``).
        network: a network factory, called once a group as ``network(channels before it, channels * P, context)``.
        context: a number of features, an image's shape or a space; 0 for none.

    Each group also has learned parameters for every position, which are added to the network's. A first group with
    no context has these alone.

    Raises:
        UsageError: if the groups do not add up.
        ShapeError: if the input does not end in ``event_shape``, or the context is missing.

    Example:
        >>> from pushforward.networks import DenseNet
        >>> base = GroupedDiscrete(CategoricalMass(4), (3, 2, 2), (1, 2), DenseNet, context=(1, 2, 2))
        >>> base.sample(context=torch.zeros(5, 1, 2, 2)).shape
        torch.Size([5, 3, 2, 2])
    """

    reparametrised = False

    def __init__(
        self,
        mass: MassFunction,
        event_shape: Sequence[int],
        groups: Sequence[int],
        network: NetworkFactory,
        context: Context = 0,
    ) -> None:
        super().__init__()
        self.mass = mass
        self.support = mass.support.with_shape(event_shape)
        self.context = (image_context if len(event_shape) == 3 else vector_context)(context, "GroupedDiscrete")
        given = for_network(self.context)
        self.conditional = bool(given)
        channels, *positions = self.event_shape
        if sum(groups) != channels or min(groups, default=0) < 1:
            raise UsageError(f"GroupedDiscrete expects groups that add up to {channels} channels, got {tuple(groups)}")
        self.groups = tuple(groups)
        self.bounds = tuple(pairwise(accumulate(self.groups, initial=0)))
        count = mass.num_parameters
        self.networks = nn.ModuleList(
            [
                make_network(network, start, (stop - start) * count, self.context, "GroupedDiscrete")
                if start or given
                else nn.Identity()
                for start, stop in self.bounds
            ]
        )
        self.biases = nn.ParameterList(
            [nn.Parameter(torch.zeros((stop - start) * count, *positions)) for start, stop in self.bounds]
        )

    def group_parameters(self, group: int, previous: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the mass function's parameters of one group, ``batch + (channels, ..., P)``, given ``previous``: the
        channels of all groups before it."""
        axis = -len(self.event_shape)
        raw = self.biases[group].expand(*previous.shape[:axis], *self.biases[group].shape)
        if self.bounds[group][0] or self.conditional:
            raw = raw + self.networks[group](previous, context)
        return raw.unflatten(axis, (self.groups[group], -1)).movedim(axis, -1)

    def forward(self, x: Tensor, context: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        axis = -len(self.event_shape)
        values = x.to(self.biases[0].dtype)
        parameters = [
            self.group_parameters(group, values.narrow(axis, 0, start), context)
            for group, (start, _) in enumerate(self.bounds)
        ]
        log_mass = self.mass.log_prob(values, torch.cat(parameters, axis - 1))
        return log_mass.sum(tuple(range(axis, 0)))

    def draw(
        self, batch: torch.Size, context: Tensor | None, temperature: float, generator: torch.Generator | None
    ) -> Tensor:
        axis = -len(self.event_shape)
        x = self.biases[0].new_zeros(*batch, 0, *self.event_shape[1:])
        for group in range(len(self.groups)):
            parameters = self.group_parameters(group, x, context)
            x = torch.cat([x, self.mass.sample(parameters, temperature=temperature, generator=generator)], axis)
        return x
