r"""
One pixel after the other
=========================

A pixel model says of each pixel how likely its values are, given the pixels before in raster order. What decides a
pixel is seen by the gradient of what the network says: masked convolutions leave a blind spot to the right above, the
two stacks of a gated PixelCNN none (van den Oord et al. 2016, arXiv:1606.05328, figure 1).
"""

import torch
from matplotlib.figure import Figure

import pushforward as pf
from pushforward.plots.pictures import page_of

side, row, column = 13, 7, 6


def seen(flow):
    """The pixels that the mass of one pixel depends on."""
    image = torch.full((1, 1, side, side), 0.5, requires_grad=True)
    network = flow.base.network
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(0.3 * torch.randn(value.shape, generator=torch.Generator().manual_seed(0)))
    network(image)[0, :, row, column].sum().backward()
    return image.grad[0, 0].abs() > 1e-12


options = {"shape": (1, side, side), "levels": 2, "layers": 3, "hidden": 8, "first_kernel": 3}
fields = {
    "masked convolutions": seen(pf.models.pixelcnn(**options)),
    "two stacks": seen(pf.models.gated_pixelcnn(**options)),
}
figure_fields = Figure(figsize=(8, 3.9), layout="constrained")
figure_fields.suptitle("what the dark pixel sees")
for axes, (title, field) in zip(figure_fields.subplots(1, 2), fields.items()):
    shown = field.float()
    shown[row, column] = 2
    axes.imshow(shown, cmap="Blues", vmin=0, vmax=2)
    axes.set(title=title, xticks=[], yticks=[])

# %%
# Drawing
# -------
#
# Digits in four grey levels, and samples of a small model after 0, 16, 32, 48 and all 64 pixels.

digits = pf.data.load_digits()
coarse = (digits.train / 5).floor().clamp(max=3)
torch.manual_seed(0)
flow = pf.models.gated_pixelcnn(shape=(1, 8, 8), levels=4, layers=4, hidden=20, first_kernel=5)
pf.fit(flow, coarse, max_steps=150, batch_size=64, learning_rate=3e-3, ema=0.98, seed=0, progress=False)

with torch.no_grad():
    samples = flow.sample(6, generator=torch.Generator().manual_seed(1))
position = torch.arange(64).reshape(8, 8)
stages = torch.stack([torch.where(position < count, samples, 1.5) for count in (0, 16, 32, 48, 64)], 1)
figure_samples = Figure(figsize=(5.6, 6.4), layout="constrained")
axes = figure_samples.subplots()
axes.imshow(page_of(stages.flatten(0, 1), 3, 5)[..., 0], cmap="gray")
axes.set(title="six samples, as their pixels are drawn", yticks=[])
axes.set_xticks([29 + 58 * index for index in range(5)], ["0", "16", "32", "48", "64"])
axes.set_xlabel("pixels drawn")
