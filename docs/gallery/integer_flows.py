r"""
Samples of integer flows with two and four parts
================================================

An integer flow adds rounded shifts to some pixels, which a network says of the others: with two parts one half is
shifted given the other (Hoogeboom et al. 2019, arXiv:1905.07376), with four parts each quarter in turn, given the three
others (Tomczak 2020, arXiv:2011.15056). The base is one of independent integers, so that all that pixels know of each
other is the couplings' doing.
"""

from functools import partial

import torch
from matplotlib.figure import Figure

import pushforward as pf
from pushforward.distributions import DiscretizedLogistic
from pushforward.networks import DenseMLP, Rezeroed
from pushforward.plots.pictures import page_of
from pushforward.scalar import RoundedShift
from pushforward.transforms import bipartite, flip, quadripartite

digits = pf.data.load_digits()
train, test = digits.train.flatten(1), digits.test.flatten(1)
network = Rezeroed(partial(DenseMLP, hidden=24, blocks=1, center=8.0, unit=8.0))

bits, samples = {}, {}
for name, coupling in {"two parts": bipartite, "four parts": quadripartite}.items():
    torch.manual_seed(0)
    parts = [part for _ in range(4) for part in (coupling((64,), RoundedShift(), network), flip(64))]
    flow = pf.Flow(parts, DiscretizedLogistic((64,), components=5, center=8.0, unit=8.0))
    pf.fit(flow, train, max_steps=600, batch_size=128, learning_rate=1.5e-2, ema=0.98, seed=0, progress=False)
    with torch.no_grad():
        bits[name] = flow.bits_per_dim(test).mean().item()
        samples[name] = flow.sample(32, generator=torch.Generator().manual_seed(0)).reshape(-1, 1, 8, 8)

# %%
# After so short a training the samples have the outline of digits, and not yet their strokes.

figure = Figure(figsize=(8, 2.5), layout="constrained")
for axes, name in zip(figure.subplots(1, 2), bits):
    axes.imshow(page_of(samples[name], 16, 8)[..., 0], cmap="gray")
    axes.set_title(f"{name}: {bits[name]:.2f} bits/dim of unseen digits", fontsize=10)
    axes.set_axis_off()
