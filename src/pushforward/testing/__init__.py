r"""The laws of a flow as functions, to check one's own transforms, scalar bijections and distributions.

**How to check a part of one's own.** Write the part, give it some events, call ``check_transform`` (``check_scalar``,
``check_distribution``). Nothing happens where all laws hold; where one is broken, an ``AssertionError`` names the law,
the parameters at which it is broken, and what was seen:

>>> import torch, pushforward as pf
>>> @pf.register
... class Shear(pf.transforms.Bijection):
...     "z = (x_1, x_2 + a x_1)."
...     def __init__(self) -> None:
...         super().__init__()
...         self.domain = self.codomain = pf.spaces.Reals((2,))
...         self.a = torch.nn.Parameter(torch.zeros(()))
...     def forward(self, x, context=None, generator=None):
...         x, _ = self.check(x, context, self.domain)
...         return torch.stack([x[..., 0], x[..., 1] + self.a * x[..., 0]], -1), torch.zeros_like(x[..., 0])
...     def inverse(self, z, context=None, generator=None):
...         z, _ = self.check(z, context, self.codomain)
...         return torch.stack([z[..., 0], z[..., 1] - self.a * z[..., 0]], -1), torch.zeros_like(z[..., 0])
>>> x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0))
>>> pf.testing.check_transform(Shear(), x)

An inverse that adds where it should subtract is right at the initial parameters, where the shear is the identity. Every
law is therefore checked at random parameters too:

>>> class Wrong(Shear):
...     def inverse(self, z, context=None, generator=None):
...         return self.forward(z, context)
>>> pf.testing.check_inverse(Wrong(), x)
Traceback (most recent call last):
AssertionError: check_inverse: Wrong, at random parameters (seed 0, scale 0.3): inverse(forward(x)) in torch.float32...

Each law is a function that can be called by itself, and is left out by its name with ``without=``:

- of a transform's mathematics: ``spaces``, ``inverse``, ``log_det``, ``values`` (``encode`` and ``decode``),
  ``gradients``;
- of batches and contexts: ``shapes``, ``dtypes``, ``independence`` (of the events of a batch), ``context``,
  ``context_matters``;
- of randomness: ``draws``, ``accuracy`` (what is called exact is), ``bound`` (what is called a lower bound is);
- of mass: ``mass`` (the density integrates to one, where that can be computed), ``continuity`` (it has no jump at a
  circle's seam or a sphere's poles), and of distributions ``samples``,
  ``samples_follow``, ``support``, ``reparametrised``, ``log_prob_gradients``;
- of numbers: ``extremes``, finite outputs and gradients though networks emit hundreds. A map that uses a raw
  exponential is right and breaks this law: leave it out with ``without=["extremes"]``, and check what the map allows
  with ``check_extremes(part, x, factors=(1, 10))``;
- of keeping: ``state``, ``pickle``, ``memory`` (of the constructor's arguments), ``saving``, ``graph`` (compiling).

A class of one's own is decorated with ``pf.register``, so that files can name it: ``saving`` needs that.
"""

from pushforward.testing.batches import (
    check_context,
    check_context_matters,
    check_dtypes,
    check_independence,
    check_shapes,
)
from pushforward.testing.continuity import check_continuity
from pushforward.testing.densities import check_log_prob_gradients, check_reparametrised, check_samples, check_support
from pushforward.testing.extremes import check_extremes, networks_of
from pushforward.testing.keeping import check_graph, check_memory, check_pickle, check_saving, check_state
from pushforward.testing.maps import check_gradients, check_inverse, check_log_det, check_spaces, check_values
from pushforward.testing.mass import check_bound, check_mass, check_normalised, check_samples_follow
from pushforward.testing.parameters import randomise
from pushforward.testing.randomness import check_accuracy, check_draws
from pushforward.testing.reference import Reference
from pushforward.testing.scalars import check_derivative, check_increasing, check_parameter_shapes
from pushforward.testing.suite import (
    DISTRIBUTION_LAWS,
    SCALAR_LAWS,
    TRANSFORM_LAWS,
    check_distribution,
    check_scalar,
    check_transform,
)

__all__ = [
    "DISTRIBUTION_LAWS",
    "SCALAR_LAWS",
    "TRANSFORM_LAWS",
    "Reference",
    "check_accuracy",
    "check_bound",
    "check_context",
    "check_context_matters",
    "check_continuity",
    "check_derivative",
    "check_distribution",
    "check_draws",
    "check_dtypes",
    "check_extremes",
    "check_gradients",
    "check_graph",
    "check_increasing",
    "check_independence",
    "check_inverse",
    "check_log_det",
    "check_log_prob_gradients",
    "check_mass",
    "check_memory",
    "check_normalised",
    "check_parameter_shapes",
    "check_pickle",
    "check_reparametrised",
    "check_samples",
    "check_samples_follow",
    "check_saving",
    "check_scalar",
    "check_shapes",
    "check_spaces",
    "check_state",
    "check_support",
    "check_transform",
    "check_values",
    "networks_of",
    "randomise",
]
