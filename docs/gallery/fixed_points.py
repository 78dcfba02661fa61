r"""
A contraction and its fixed point
=================================

A residual layer :math:`z = x + g(x)` is invertible if :math:`g` is a contraction, :math:`|g(x) - g(y)| \le c\,|x - y|`
with :math:`c < 1`. The inverse is the fixed point of :math:`x \leftarrow z - g(x)`, which Banach's theorem says is the
only one, and which every start comes to, at each step nearer by a factor of :math:`c` or more.
"""

import torch
from matplotlib.figure import Figure

import pushforward as pf
from pushforward.transforms import Contractive, FixedPointInverse


class Wave(torch.nn.Module):
    """A contraction: a sine that is no steeper than its bound."""

    def __init__(self, lipschitz):
        super().__init__()
        self.lipschitz = lipschitz

    def forward(self, x, context=None):
        return self.lipschitz * torch.sin(x)


# %%
# On the left the layers, in the middle the way to the fixed point, step by step between the curve and the diagonal.

bounds = {0.5: "#2e7d8c", 0.8: "#d1495b", 0.95: "#5b6b7f"}
z = torch.tensor([1.2])
line = torch.linspace(-3.5, 3.5, 300)

figure = Figure(figsize=(12.5, 3.8), layout="constrained")
left, middle, right = figure.subplots(1, 3)
for bound, colour in bounds.items():
    layer = Contractive(Wave(bound), 1, inverse=FixedPointInverse(1e-6))
    image = layer.encode(line[:, None]).detach()
    left.plot(line, image[:, 0], color=colour, label=f"c = {bound}")

    solution = layer.decode(z).detach()
    x, steps = torch.tensor([-2.5]), []
    for _ in range(40):
        steps.append(x)
        x = z - layer.network(x)
    errors = (torch.cat(steps) - solution).abs()
    right.semilogy(errors, color=colour, marker=".", label=f"c = {bound}")
    right.semilogy(errors[0] * bound ** torch.arange(40.0), color=colour, linewidth=0.8, linestyle="--")
    if bound == 0.8:
        middle.plot(line, z - layer.network(line), color=colour, label="$z - g(x)$")
        middle.plot(line, line, color="#c9d1da", label="the diagonal")
        corners = torch.cat(steps[:12]).repeat_interleave(2)
        middle.plot(corners[:-1], corners[1:], color="black", linewidth=0.8, label="$x \\leftarrow z - g(x)$")
        middle.plot(*[solution.item()] * 2, "o", color="black", markersize=5)
left.set(title="$z = x + c\\,\\sin x$", xlabel="x", ylabel="z")
middle.set(title="the fixed point, c = 0.8", xlabel="x", ylabel="next x", xlim=(-3.5, 3.5), ylim=(-3.5, 3.5))
right.set(title="error, and its bound (dashed)", xlabel="step", ylabel="$|x - x^*|$", ylim=(1e-7, 10))
for axes in (left, middle, right):
    axes.legend(frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)

# %%
# On the plane, a flow of such layers bends everything at once.

moons = pf.data.toy("moons").sample(2000, torch.Generator().manual_seed(0))
torch.manual_seed(0)
flow = pf.models.densenet_flow(features=2, layers=4, hidden=16)
pf.fit(flow, moons, max_steps=120, batch_size=256, learning_rate=1e-2, ema=0.97, seed=0, progress=False)
figure_moons = pf.plots.warped_grid(flow, moons)
