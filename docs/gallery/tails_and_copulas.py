r"""
Heavy tails, and what links two columns
=======================================

The tails of a flow that is linear far out are those of its base. Onto a normal it says that what lies far out is
impossible, where a power law says that it is rare.
"""

import torch
from matplotlib.figure import Figure

import pushforward as pf

# %%
# Tails
# -----
#
# Numbers of a Student's t with two degrees of freedom: :math:`P(|x| > r)` falls as :math:`r^{-2}`. The truth, the flow
# ``tails``, and a flow of splines onto a normal, by how often their samples are farther out.

truth = torch.distributions.StudentT(2.0)
torch.manual_seed(0)
data = truth.sample((4000, 1))
flows = {
    "tails": pf.models.tails(features=1, layers=2, hidden=16),
    "splines onto a normal": pf.models.nsf(features=1, layers=2, hidden=16),
}
distances = torch.logspace(-0.5, 3, 60)
colours = {"tails": "#2e7d8c", "splines onto a normal": "#d1495b"}
figure_tails = Figure(figsize=(6.4, 4), layout="constrained")
axes = figure_tails.subplots()
axes.loglog(distances, 2 / (distances**2 + 2 + distances * (distances**2 + 2).sqrt()), color="black", label="the truth")
for name, flow in flows.items():
    pf.fit(flow, data, max_steps=150, batch_size=500, learning_rate=5e-3, ema=0.97, seed=0, progress=False)
    with torch.no_grad():
        drawn = flow.sample(500_000, generator=torch.Generator().manual_seed(1)).abs()
    axes.loglog(distances, [(drawn > each).float().mean() for each in distances], color=colours[name], label=name)
axes.axvline(data.abs().max(), color="#5b6b7f", linewidth=0.8, linestyle="--", label="the farthest of the data")
axes.set(xlabel="r", ylabel="share of samples with |x| > r", ylim=(2e-6, 1.5))
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False, fontsize=9)

# %%
# Copulas
# -------
#
# A copula is what is left of a joint density when the marginals are taken away. Two columns that are extreme together,
# the corners of a Student's copula, and the Gaussian one that has the same correlation and cannot have them. Drawn are
# the normal scores of the data, :math:`\Phi^{-1}(F(x))`, over the density of each copula.

shared = torch.randn(6000, 2) @ torch.tensor([[1.0, 0.5], [0.0, 0.75**0.5]])
together = shared / torch.distributions.Chi2(2.0).sample((6000, 1)).div(2.0).sqrt()
columns = together * torch.where(together > 0, 3.0, 1.0)

figure_copulas = Figure(figsize=(9.6, 4), layout="constrained")
for axes, name in zip(figure_copulas.subplots(1, 2), ("gaussian", "student")):
    torch.manual_seed(0)
    flow = pf.models.copula(features=2, marginals="tails", copula=name)
    pf.fit(flow, columns, max_steps=150, batch_size=500, learning_rate=2e-2, ema=0.97, seed=0, progress=False)
    with torch.no_grad():
        nats = flow.log_prob(columns).mean().item()
        scores = flow.encode(columns)[:2500]
    pf.plots.two_dimensions.draw_density(axes, lambda z, base=flow.base: base.log_prob(z).detach(), (-4, 4, -4, 4), 150)
    axes.scatter(*scores.T, s=2, color="white", alpha=0.5, linewidths=0)
    axes.set(title=f"{name}: {nats:.3f} nats a row", xlabel="first score", ylabel="second score")
