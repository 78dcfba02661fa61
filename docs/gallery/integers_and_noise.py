r"""
Integers, and numbers between them
==================================

A density on the plane gives single points no probability. Integers become numbers by noise that is uniform on
:math:`[0, 1)`: the mass of a pair of integers is then the mass of a square (Tomczak 2022, figure 3.5; Theis, van den
Oord, Bethge 2015, arXiv:1511.01844). The other way round, a density becomes a distribution of integers by the areas of
its bins (figure 3.12).
"""

import torch
from matplotlib.figure import Figure

from pushforward.distributions import DiscretizedLogisticMixture
from pushforward.transforms import Dequantization

# %%
# Points become squares
# ---------------------

generator = torch.Generator().manual_seed(0)
pairs = torch.cartesian_prod(torch.arange(2), torch.arange(2))
mass = torch.tensor([0.1, 0.4, 0.4, 0.1])
drawn = pairs[torch.multinomial(mass, 3000, replacement=True, generator=generator)]
noisy, _ = Dequantization(2, event_dims=1)(drawn, generator=generator)
noisy = 2 * noisy

figure_squares = Figure(figsize=(7.6, 3.6), layout="constrained")
left, right = figure_squares.subplots(1, 2, sharex=True, sharey=True)
left.scatter(*pairs.T, s=2000 * mass, color="#2e7d8c")
right.scatter(*noisy.T, s=2, color="#2e7d8c", alpha=0.6, linewidths=0)
for axes, title in ((left, "two bits: areas are probabilities"), (right, "with uniform noise")):
    axes.set(title=title, xlabel="first bit", xlim=(-0.4, 2.2), ylim=(-0.4, 2.2), xticks=[0, 1, 2], yticks=[0, 1, 2])
    axes.set_aspect("equal")
    axes.spines[["top", "right"]].set_visible(False)
left.set_ylabel("second bit")

# %%
# Areas become integers
# ---------------------
#
# The probability of an integer is the rise of the distribution function over its bin.

mass_of = DiscretizedLogisticMixture(1)
integers = torch.arange(-6, 7)
share = mass_of.log_prob(integers.float(), torch.zeros(13, 2)).exp()
line = torch.linspace(-6.5, 6.5, 400)

figure_logistic = Figure(figsize=(9, 3.4), layout="constrained")
left, right = figure_logistic.subplots(1, 2)
left.plot(line, torch.sigmoid(line), color="#2e7d8c")
low, high = torch.sigmoid(torch.tensor([0.5, 1.5])).tolist()
left.fill_betweenx([low, high], -6.5, [0.5, 1.5], color="#d1495b", alpha=0.3, linewidth=0)
left.axvspan(0.5, 1.5, color="#c9d1da", alpha=0.6, linewidth=0)
left.set(title=f"the distribution function rises by {high - low:.3f} from 0.5 to 1.5", xlabel="x", ylabel="P(X < x)")
right.bar(integers, share, width=0.5, color=["#d1495b" if each == 1 else "#2e7d8c" for each in integers])
right.set(title=f"the integer 1 has the probability {share[7]:.3f}", xlabel="integer", ylabel="probability")
for axes in (left, right):
    axes.title.set_fontsize(10)
    axes.set_xlim(-6.5, 6.5)
    axes.spines[["top", "right"]].set_visible(False)
