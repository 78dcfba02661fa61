r"""
Squeezing an image, and its checkerboard
========================================

``Squeeze`` makes each square of 2 x 2 pixels four channels of one pixel: nothing is lost, and couplings that split
channels then see all parts of the image. A checkerboard splits the pixels of the image itself (Dinh, Sohl-Dickstein,
Bengio 2016, arXiv:1605.08803, figure 3).
"""

import torch
from matplotlib.figure import Figure

from pushforward.data import load_digits
from pushforward.transforms import Squeeze, masks

numbers = torch.arange(1, 17).reshape(1, 4, 4)
squeezed = Squeeze().encode(numbers)


def draw(axes, values, colours, title):
    """Numbers in cells."""
    axes.imshow(colours, cmap="Pastel1", vmin=0, vmax=8)
    for (row, column), value in zip(torch.cartesian_prod(*map(torch.arange, values.shape)).tolist(), values.flatten()):
        axes.text(column, row, int(value), ha="center", va="center", fontsize=12)
    axes.set(title=title, xticks=[], yticks=[])


figure_squeeze = Figure(figsize=(11, 2.6), layout="constrained")
first, *others, last = figure_squeeze.subplots(1, 6, width_ratios=[2, 1, 1, 1, 1, 2])
channel_of = torch.arange(4).reshape(2, 2).repeat(2, 2)
draw(first, numbers[0], channel_of, "an image, 1 x 4 x 4")
for index, axes in enumerate(others):
    draw(axes, squeezed[index], torch.full((2, 2), index), f"channel {index + 1}")
draw(last, numbers[0], 8 * masks.checkerboard((1, 4, 4))[0], "checkerboard")

# %%
# The same of a digit: each channel is the digit at half the resolution.

digit = load_digits().test[3]
figure_digit = Figure(figsize=(11, 2.4), layout="constrained")
views = {"digit": digit[0], **{f"channel {i + 1}": each for i, each in enumerate(Squeeze().encode(digit))}}
kept = masks.checkerboard((1, 8, 8))
views["kept of it"] = digit.where(kept, torch.nan)[0]
for axes, (title, values) in zip(figure_digit.subplots(1, 6), views.items()):
    axes.imshow(values, cmap="gray", vmin=0, vmax=16)
    axes.set_facecolor("#c9d1da")
    axes.set(title=title, xticks=[], yticks=[])
