r"""
A table, its pairs of columns, and calibrated predictions
=========================================================

A flow of a table holds all its columns and how they hang together; a flow of one column given the others is a
prediction with all its uncertainty.
"""

import torch

import pushforward as pf

generator = torch.Generator().manual_seed(0)


def normal(deviation=1.0):
    """A column of noise."""
    return deviation * torch.randn(4000, generator=generator)


woman = torch.rand(4000, generator=generator) < 0.5
height = torch.where(woman, 165.0, 178.0) + normal(6.5)
weight = torch.exp(4.3 + 0.009 * (height - 170) + normal(0.16))
steps = torch.exp(8.7 - 0.01 * (weight - 75) + normal(0.4)) / 1000
pulse = 64 - 6 * torch.log(steps) + 0.1 * weight + normal(5.0)
table = torch.stack([height, weight, steps, pulse], -1)
names = ["height in cm", "weight in kg", "steps a day in 1000", "pulse a minute"]

# %%
# Pairs
# -----
#
# The rows of the table in grey, samples of the flow in colour.

torch.manual_seed(0)
flow = pf.models.nsf(features=4, layers=3, hidden=48)
pf.fit(flow, table, max_steps=300, batch_size=500, learning_rate=5e-3, ema=0.98, seed=0, progress=False)
with torch.no_grad():
    samples = flow.sample(4000, generator=torch.Generator().manual_seed(1))
figure_pairs = pf.plots.corner(table, samples, names)

# %%
# Calibration
# -----------
#
# The steps of a day given height, weight and pulse: an affine flow, whose predictions are normal distributions, and one
# of splines. Of 1000 people that were not trained on, the share of those below each predicted level.

given, told = table[:, [0, 1, 3]], table[:, 2:3]
levels = {}
for name, model in {"affine": pf.models.maf, "splines": pf.models.nsf}.items():
    torch.manual_seed(0)
    prediction = model(features=1, context=3, layers=1, hidden=32)
    pf.fit(
        prediction,
        (told[:3000], given[:3000]),
        max_steps=300,
        batch_size=500,
        learning_rate=5e-3,
        ema=0.98,
        seed=0,
        progress=False,
    )
    levels[name] = torch.as_tensor(pf.plots.pit_values(prediction, told[3000:], given[3000:]))
figure_calibration = pf.plots.calibration(torch.cat(list(levels.values()), -1), list(levels))
