r"""
What a flow of categories does to XOR
=====================================

Two bits, of which the second is nearly always that of the first turned round, depend on each other. The map
:math:`(x_1, x_2) \mapsto (x_1, x_1 \oplus x_2)` renames the four pairs, so that afterwards they do not (Tomczak 2022,
figure 3.10): a distribution of independent bits then fits. A discrete flow (Tran et al. 2019, arXiv:1905.10347) finds
the map by itself.
"""

import torch
from matplotlib.figure import Figure

import pushforward as pf

generator = torch.Generator().manual_seed(0)
first = torch.rand(4000, generator=generator) < 0.3
turned = torch.rand(4000, generator=generator) < 0.92
data = torch.stack([first, first ^ turned], -1).long()
pairs = torch.cartesian_prod(torch.arange(2), torch.arange(2))


def table(x):
    """How often each pair is, first bit downwards."""
    return torch.stack([(x == pair).all(-1).double().mean() for pair in pairs]).reshape(2, 2)


flows = {}
for layers in (0, 2):
    torch.manual_seed(0)
    flows[layers] = pf.models.discrete_flow(features=2, classes=2, layers=layers, hidden=16)
    pf.fit(flows[layers], data, max_steps=200, batch_size=500, learning_rate=2e-2, ema=None, seed=0, progress=False)

with torch.no_grad():
    latents = flows[2].encode(data)
    # Categories leave the flow one-hot.
    latents = latents.argmax(-1) if latents.dim() == 3 else latents.long()
    tables = {
        "data": table(data),
        "independent bits alone": flows[0].log_prob(pairs).exp().reshape(2, 2),
        "latents of the flow": table(latents),
        "the flow": flows[2].log_prob(pairs).exp().reshape(2, 2),
    }

# %%
# The rows are the first bit, the columns the second; the numbers sum to 1.

figure = Figure(figsize=(11, 3.2), layout="constrained")
panels = figure.subplots(1, 4)
for axes, (title, shares) in zip(panels, tables.items()):
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=0.8)
    for (row, column), share in zip(pairs.tolist(), shares.flatten().tolist()):
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", color="white" if share > 0.45 else "black")
    axes.set(title=title, xticks=[0, 1], yticks=[0, 1], xlabel="second bit")
panels[0].set_ylabel("first bit")
figure.colorbar(image, ax=panels, label="probability", shrink=0.8)
