r"""
Dequantization, levels and interpolations of digits
===================================================

A flow of numbers is made one of integers by noise: uniform, or such as a flow of its own draws (Ho et al. 2019,
arXiv:1902.00275). A flow at several scales splits off half of the latents at each (Dinh et al. 2016, arXiv:1605.08803).
Here a small one of digits of 17 grey levels, after a short training.
"""

# sphinx_gallery_thumbnail_number = 3
import torch
from matplotlib.figure import Figure

import pushforward as pf
from pushforward.diagnostics.interpolation import interpolate, spherical, straight
from pushforward.diagnostics.levels import resample_levels
from pushforward.plots.pictures import page_of

digits = pf.data.load_digits()
torch.manual_seed(0)
flow = pf.models.multiscale(shape=(1, 8, 8), levels=17, layers=2, hidden=24)
pf.fit(flow, digits.train, max_steps=150, batch_size=64, learning_rate=3e-3, ema=0.98, seed=0, progress=False)

# %%
# Dequantization
# --------------
#
# What the integers are, what uniform noise makes of them, and what the learned noise does.

with torch.no_grad():
    uniform = (digits.test + torch.rand(digits.test.shape, generator=torch.Generator().manual_seed(0))).flatten()
    learned = 17 * flow.transform[0](digits.test, generator=torch.Generator().manual_seed(0))[0].flatten()
figure_noise = Figure(figsize=(12, 3.1), layout="constrained")
first, second, third = figure_noise.subplots(1, 3)
first.bar(
    torch.arange(17),
    torch.bincount(digits.test.long().flatten(), minlength=17) / digits.test.numel(),
    0.3,
    color="#2e7d8c",
)
first.set(title="grey levels", xlabel="x", ylabel="share", yscale="log")
for axes, values, title in ((second, uniform, "uniform noise"), (third, learned, "learned noise")):
    axes.hist(values, bins=17 * 8, range=(0, 17), density=True, color="#2e7d8c")
    axes.set(title=title, xlabel="x + u", ylabel="density", yscale="log")
for axes in (first, second, third):
    axes.set_yticks([0.003, 0.01, 0.03, 0.1, 0.3, 1], ["0.003", "0.01", "0.03", "0.1", "0.3", "1"], minor=False)
    axes.minorticks_off()
    axes.set_ylim(0.003, 1.6)
    axes.spines[["top", "right"]].set_visible(False)


def draw(images, columns, title):
    """Images side by side."""
    figure = Figure(figsize=(6.4, 0.8 * len(images) / columns + 0.5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(page_of(images, 16, columns)[..., 0], cmap="gray")
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)
    return figure


# %%
# Levels
# ------
#
# Each row shares the latents of the last level; those split off before are drawn anew.

torch.manual_seed(1)
figure_levels = draw(resample_levels(flow, rows=4).flatten(0, 1), 8, "one last level in each row")

# %%
# Interpolations
# --------------
#
# From a digit that the flow has not seen to another, through the latents of all levels; at the ends are the two digits
# themselves. A straight line passes nearer to the middle than samples lie, a great circle does not.

ends = digits.test[:4], digits.test[4:8]
figure_straight = draw(interpolate(flow, *ends, path=straight).flatten(0, 1), 8, "straight")
figure_spherical = draw(interpolate(flow, *ends, path=spherical).flatten(0, 1), 8, "on great circles")
