r"""
Maps that keep, shrink and enlarge a square
===========================================

Points that are uniform on a square are uniform on its image under a linear map, and there is as much of them: where the
area shrinks the density grows, by the determinant of the Jacobian (Tomczak 2022, figure 3.2):

.. math:: p(x) = p(f(x)) \, |\det J_f(x)|.
"""

import torch
from matplotlib.figure import Figure

import pushforward as pf

maps = {
    "keeps": torch.tensor([[1.0, 0.5], [0.0, 1.0]]),
    "shrinks": torch.tensor([[0.7, 0.3], [0.1, 0.6]]),
    "enlarges": torch.tensor([[1.5, 0.3], [-0.4, 1.2]]),
}
square = pf.distributions.Uniform((2,))


class Linear(pf.transforms.Bijection):
    """From data to the square, by the inverse of a matrix; what is not of its image lands beside the square."""

    domain = pf.spaces.Reals((2,))
    codomain = square.support

    def __init__(self, matrix):
        super().__init__()
        self.matrix = matrix

    def forward(self, x, context=None, generator=None):
        return x @ torch.linalg.inv(self.matrix).mT, -torch.linalg.slogdet(self.matrix)[1].expand(x.shape[:-1])

    def inverse(self, z, context=None, generator=None):
        return z @ self.matrix.mT, torch.linalg.slogdet(self.matrix)[1].expand(z.shape[:-1])


# %%
# The colours are the densities that the flows say.

across, upwards = torch.linspace(-0.6, 2.2, 400), torch.linspace(-0.8, 1.6, 400)
mesh = torch.stack(torch.meshgrid(across, upwards, indexing="xy"), -1)
figure = Figure(figsize=(13, 3.2), layout="constrained")
panels = figure.subplots(1, 4, sharey=True)
flows = {"the square": pf.Flow([Linear(torch.eye(2))], square)}
flows |= {f"a map that {what} it": pf.Flow([Linear(matrix)], square) for what, matrix in maps.items()}
for axes, (title, flow) in zip(panels, flows.items()):
    density = flow.log_prob(mesh).exp()
    image = axes.imshow(density, origin="lower", extent=(-0.6, 2.2, -0.8, 1.6), cmap="Blues", vmin=0, vmax=3)
    area = torch.linalg.det(flow.transform[0].matrix).abs().item()
    axes.set_title(f"{title}\narea {area:.2f}, density {1 / area:.2f}", fontsize=10)
figure.colorbar(image, ax=panels, label="density", shrink=0.8)
