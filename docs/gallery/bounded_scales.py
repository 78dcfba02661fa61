r"""
The bounds of a coupling's scales
=================================

An affine coupling multiplies by :math:`e^s`. A network that says a large :math:`s` early in training blows all up, and
so :math:`s` is bounded, :math:`s = f \tanh(r / f)` of the network's output :math:`r`, with a factor :math:`f` that is
learned for each dimension (Lippe 2022, the UvA deep learning tutorials). Small :math:`r` passes nearly unchanged.
"""

import math

import torch
from matplotlib.figure import Figure

from pushforward.scalar import LearnedBoundAffine

raw = torch.linspace(-5, 5, 301)
figure = Figure(figsize=(10.5, 3.2), layout="constrained")
for axes, factor in zip(figure.subplots(1, 3, sharey=True), (0.5, 1.0, 4.0)):
    parameters = torch.stack([raw, torch.zeros(301), torch.full((301,), math.log(factor))], -1)
    _, log_scale = LearnedBoundAffine().forward(torch.ones(301), parameters)
    axes.plot(raw, raw, color="#c9d1da", label="unbounded")
    axes.plot(raw, log_scale, color="#d1495b", label="$f\\,\\tanh(r / f)$")
    axes.axhline(factor, color="#5b6b7f", linewidth=0.8, linestyle="--", label="$\\pm f$")
    axes.axhline(-factor, color="#5b6b7f", linewidth=0.8, linestyle="--")
    axes.set(title=f"f = {factor:g}", xlabel="what the network says, $r$", ylim=(-5, 5))
    axes.spines[["top", "right"]].set_visible(False)
figure.axes[0].set_ylabel("log-scale $s$")
figure.axes[0].legend(frameon=False, loc="upper left", fontsize=9)
