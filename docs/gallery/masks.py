r"""
Good and bad masks
==================

A coupling layer keeps the pixels of a mask and changes the others, and all it knows of a pixel are the kept ones.
Where kept and changed pixels are neighbours that is much; where one half of the image has to tell of the other it is
little (CS294-158, Abbeel et al.). The same flow with both kinds of masks, trained for the same number of steps, needs
more bits with the bad ones.
"""

import torch
from matplotlib.figure import Figure

import pushforward as pf
from pushforward.networks import GatedConvNet
from pushforward.plots.pictures import page_of
from pushforward.scalar import Affine
from pushforward.transforms import ActNorm, Coupling, Dequantization, Logit, masks

shape = (1, 8, 8)
good = {"checkerboard": masks.checkerboard(shape)}
bad = {"top and bottom": masks.top_bottom(shape), "left and right": masks.left_right(shape)}

figure_masks = Figure(figsize=(7.5, 2.8), layout="constrained")
for axes, (name, mask) in zip(figure_masks.subplots(1, 3), {**good, **bad}.items()):
    axes.imshow(mask[0], cmap="Greys", vmin=-0.3, vmax=1.3)
    axes.set(title=name, xticks=[], yticks=[])
    axes.set_xlabel("dark: kept, light: changed", fontsize=9)

# %%
# Eight layers each, the two halves of a mask in turn.

digits = pf.data.load_digits()


def flow_with(*kinds):
    """A flow of couplings with these masks and their opposites in turn."""
    torch.manual_seed(0)
    parts = [Dequantization(17), Logit(0.05)]
    for index in range(8):
        mask = kinds[index // 2 % len(kinds)]
        parts += [
            ActNorm(1, event_dims=3),
            Coupling(mask if index % 2 else ~mask, Affine(), lambda *sizes: GatedConvNet(*sizes, hidden=16, blocks=2)),
        ]
    return pf.Flow(parts, pf.distributions.StandardNormal(shape))


bits, samples = {}, {}
for name, kinds in {"checkerboard": good, "halves": bad}.items():
    flow = flow_with(*kinds.values())
    pf.fit(flow, digits.train, max_steps=100, batch_size=64, learning_rate=3e-3, ema=0.98, seed=0, progress=False)
    with torch.no_grad():
        bits[name] = flow.bits_per_dim(digits.test, generator=torch.Generator().manual_seed(0)).mean().item()
        samples[name] = flow.sample(32, generator=torch.Generator().manual_seed(0))

figure_samples = Figure(figsize=(8, 2.5), layout="constrained")
for axes, name in zip(figure_samples.subplots(1, 2), bits):
    axes.imshow(page_of(samples[name], 16, 8)[..., 0], cmap="gray")
    axes.set_title(f"{name}: {bits[name]:.2f} bits/dim of unseen digits", fontsize=10)
    axes.set_axis_off()
