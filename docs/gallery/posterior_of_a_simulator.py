r"""
The posterior of a simulator, and whether to believe it
=======================================================

How fast and how steeply was a stone thrown that came so far and so high? A flow given what was observed learns it from
simulations alone (Papamakarios, Murray 2016, arXiv:1605.06376; Greenberg et al. 2019, arXiv:1905.07488).
"""

import torch

import pushforward as pf
from pushforward.inference import NPE, simulate


def throw(theta):
    """How far and how high stones fly that are thrown with speeds and angles, with errors of measurement."""
    speed, angle = theta.unbind(-1)
    far, high = speed**2 * torch.sin(2 * angle) / 9.81, (speed * torch.sin(angle)) ** 2 / 19.62
    return torch.stack([far, high], -1) + 1.5 * torch.randn(len(theta), 2)


prior = torch.distributions.Uniform(torch.tensor([5.0, 0.1]), torch.tensor([20.0, 1.5]))
theta, x = simulate(throw, prior, 4000, seed=0, progress=False)
inference = NPE(prior).append_simulations(theta, x)
inference.fit(members=1, max_steps=600, learning_rate=3e-3, seed=0, progress=False)

# %%
# One throw
# ---------
#
# A stone that was thrown with 14 m/s and an angle of 0.5: the prior in grey, the posterior in colour, the truth dashed.

truth = torch.tensor([14.0, 0.5])
torch.manual_seed(1)
posterior = inference.posterior(throw(truth[None])[0])
samples = posterior.sample((4000,))
figure_posterior = pf.plots.corner(
    theta, samples, ["speed in m/s", "angle in radians"], legend=("prior", "posterior"), marked=truth
)

# %%
# Many throws
# -----------
#
# Of parameters that are drawn of the prior the truth is known. Its rank among draws of its posterior is uniform where
# the posterior is right, and regions of a level hold it as often as the level says.

torch.manual_seed(2)
true, seen = simulate(throw, prior, 300, seed=1, progress=False)
draws = inference.posterior(seen).sample((200,))
figure_ranks = pf.plots.ranks(pf.diagnostics.sbc(draws, true, seen), ["speed", "angle"])

# %%
# The same of draws that were drawn in to their mean by a third: too sure of themselves.

middle = draws.mean(0)
narrow = middle + (draws - middle) * 2 / 3
figure_coverage = pf.plots.coverage(
    {
        "the posterior": pf.diagnostics.tarp(draws, true, seen),
        "drawn in": pf.diagnostics.tarp(narrow, true, seen),
    }
)
