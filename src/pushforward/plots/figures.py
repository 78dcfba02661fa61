"""Pictures of flows on vectors: one dimension, two dimensions, tables, and calibration.

Each function returns a matplotlib ``Figure`` that belongs to no window, so it works without a display; :func:`save`
writes it to a file.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from pushforward.distributions import Distribution, StandardLogistic, StandardNormal, Uniform
from pushforward.errors import ShapeError, UsageError
from pushforward.extras import requires
from pushforward.files import atomic_path
from pushforward.flows import Flow
from pushforward.transforms import Chain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DATA = "#5b6b7f"
MODEL = "#d1495b"
LATENT = "#2e7d8c"
PALE = "#c9d1da"
DENSITY_MAP = "magma"
DATA_ONLY = 2000


def flow_1d(flows: Flow | Mapping[str, Flow], data: ArrayLike | Tensor) -> Figure:
    """Draw one-dimensional flows: the data's histogram under the density, the map, and the latents' histogram.

    One row for each flow, for instance before and after training, as in the CS294-158 lectures (Abbeel et al.).

    Args:
        flows: a flow with events of shape ``(1,)``, or several by their titles.
        data: ``(n,)`` or ``(n, 1)``.

    Raises:
        ShapeError: if a flow's events are not of shape ``(1,)``.

    Example:
        >>> from pushforward.scalar import Affine
        >>> from pushforward.transforms import Elementwise
        >>> flow = Flow([Elementwise(Affine(), (1,))], StandardNormal((1,)))
        >>> len(flow_1d({"before": flow, "after": flow}, torch.randn(100)).axes)
        6
    """
    rows = flows if isinstance(flows, Mapping) else {"": flows}
    x = points(data, 1)
    figure = new_figure(10.5, 3.0 * len(rows))
    grid = figure.subplots(len(rows), 3, squeeze=False)
    for axes, (title, flow) in zip(grid, rows.items()):
        draw_1d(axes, drawable(flow, 1), x, title)
    return figure


def draw_1d(axes: Sequence[Axes], flow: Flow, x: Tensor, title: str) -> None:
    """Fill one row of :func:`flow_1d`."""
    left, middle, right = axes
    low, high = span(x, margin=0.15)
    line = torch.linspace(low, high, 600).unsqueeze(-1)
    with torch.no_grad():
        density = flow.log_prob(line).exp().numpy()
        image = flow.encode(line).squeeze(-1).numpy()  # type: ignore[union-attr]
        z = flow.encode(x)
    left.hist(x.squeeze(-1).numpy(), bins=80, range=(low, high), density=True, color=PALE, label="data")
    left.plot(line.squeeze(-1).numpy(), density, color=MODEL, label="density")
    left.set(xlabel="x", ylabel=title, title="data and density", xlim=(low, high))
    headroom(left)
    left.legend(frameon=False, ncols=2, loc="upper center")
    middle.plot(line.squeeze(-1).numpy(), image, color=DATA)
    middle.set(xlabel="x", ylabel="z", title="the map $z = f(x)$", xlim=(low, high))
    tidy(middle)
    draw_latent_histogram(right, flow.base, z)  # type: ignore[arg-type]


def draw_latent_histogram(axes: Axes, base: Distribution, z: Tensor) -> None:
    """The latents' histogram with the base's density."""
    low, high = span(z, margin=0.15)
    line = torch.linspace(low, high, 600).unsqueeze(-1)
    with torch.no_grad():
        density = base.log_prob(line).exp().numpy()
    axes.hist(z.squeeze(-1).numpy(), bins=80, density=True, color=PALE, label="latents")
    axes.plot(line.squeeze(-1).numpy(), density, color=LATENT, label="base")
    axes.set(xlabel="z", title="latents and base", xlim=(low, high))
    headroom(axes)
    axes.legend(frameon=False, ncols=2, loc="upper center")


def density_2d(
    log_prob: Callable[[Tensor], Tensor], bounds: tuple[float, float, float, float], *, resolution: int = 300
) -> Figure:
    """Draw a density on the plane.

    Args:
        log_prob: takes ``(n, 2)`` and returns ``(n,)``, for instance a flow or a known density's ``log_prob``.
        bounds: ``(x_low, x_high, y_low, y_high)``.
        resolution: points along each side.
    """
    figure = new_figure(4.6, 4.4)
    axes = figure.subplots()
    draw_density(axes, log_prob, bounds, resolution)
    return figure


def flow_2d(flow: Flow, data: ArrayLike | Tensor, *, generator: torch.Generator | None = None) -> Figure:
    """Draw a two-dimensional flow: data, samples, density, latents of the data, and how it bends the latent grid.

    Args:
        flow: a flow with events of shape ``(2,)``.
        data: ``(n, 2)``.
        generator: draws the samples.

    Raises:
        ShapeError: if the flow's events are not of shape ``(2,)``.
    """
    flow = drawable(flow, 2)
    x = points(data, 2)[:DATA_ONLY]
    bounds = plane_bounds(x)
    with torch.no_grad():
        samples = flow.sample(len(x), generator=generator)
        z = flow.encode(x)
    figure = new_figure(13.5, 3.1)
    first, second, third, fourth, fifth = figure.subplots(1, 5)
    draw_points(first, x, bounds, "data", DATA)
    draw_points(second, samples, bounds, "samples", MODEL)
    draw_density(third, flow.log_prob, bounds, 200)
    third.set_title("density", fontsize=10)
    draw_grid(fourth, flow, bounds)
    draw_points(fifth, z, (-3.5, 3.5, -3.5, 3.5) if is_normal(flow) else plane_bounds(z), "latents of the data", LATENT)  # type: ignore[arg-type]
    return figure


def warped_grid(flow: Flow, data: ArrayLike | Tensor) -> Figure:
    """Draw a square grid of the latent plane as the flow bends it in the data's plane, over the data."""
    flow = drawable(flow, 2)
    x = points(data, 2)[:DATA_ONLY]
    figure = new_figure(4.6, 4.6)
    axes = figure.subplots()
    draw_points(axes, x, plane_bounds(x), "", DATA)
    draw_grid(axes, flow, plane_bounds(x))
    return figure


def steps_2d(flow: Flow, data: ArrayLike | Tensor, *, columns: int = 4) -> Figure:
    """Draw the data's way to the latent, one picture after each part of the flow's chain.

    Points are coloured by the angle at which they end in the latent plane, so that one sees where each goes; parts
    that only reorder or rescale are drawn too.

    Args:
        flow: a flow with events of shape ``(2,)``.
        data: ``(n, 2)``.
        columns: pictures in a row.

    Raises:
        ShapeError: if the flow's events are not of shape ``(2,)``.
    """
    flow = drawable(flow, 2)
    x = points(data, 2)[:DATA_ONLY]
    stages, titles = [x], ["data"]
    with torch.no_grad():
        for index, part in enumerate(flow.transform if isinstance(flow.transform, Chain) else [flow.transform]):
            stages.append(part.encode(stages[-1]))
            titles.append(f"{index + 1}: {type(part).__name__}")
    centred = stages[-1] - stages[-1].mean(0)
    angle = torch.atan2(centred[:, 1], centred[:, 0]).numpy()
    rows = -(-len(stages) // columns)
    figure = new_figure(2.7 * min(columns, len(stages)), 2.9 * rows)
    grid = figure.subplots(rows, min(columns, len(stages)), squeeze=False).ravel()
    for axes, stage, title in zip(grid, stages, titles):
        axes.scatter(stage[:, 0].numpy(), stage[:, 1].numpy(), c=angle, cmap="hsv", s=3, alpha=0.7, linewidths=0)
        plane(axes, plane_bounds(stage), title)
    for axes in grid[len(stages) :]:
        axes.set_axis_off()
    return figure


def corner(
    data: ArrayLike | Tensor, samples: ArrayLike | Tensor, names: Sequence[str] | None = None, *, bins: int = 40
) -> Figure:
    """Draw a table against samples from a model: every column's histogram, every pair of columns as contours.

    The data is below the diagonal in grey, the samples over it in colour as lines that hold 20, 50, 80 and 95 % of
    their mass.

    Args:
        data, samples: ``(n, D)``; at most 12 columns are readable.
        names: the columns' names.
        bins: of the histograms.

    Raises:
        ShapeError: if the two differ in their columns.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> len(corner(rng.normal(size=(100, 2)), rng.normal(size=(100, 2))).axes)
        4
    """
    first, second = array(data), array(samples)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ShapeError(f"corner expects two tables of the same columns, got {first.shape} and {second.shape}")
    size = first.shape[1]
    labels = list(names) if names is not None else [f"$x_{{{index + 1}}}$" for index in range(size)]
    limits = [quantile_limits(first[:, index]) for index in range(size)]
    figure = new_figure(1.9 * size + 0.6, 1.9 * size + 0.6)
    grid = figure.subplots(size, size, squeeze=False)
    for row in range(size):
        for column in range(size):
            axes = grid[row, column]
            if column > row:
                axes.set_axis_off()
            elif column == row:
                draw_marginals(axes, first[:, row], second[:, row], limits[row], bins)
            else:
                draw_pair(axes, first[:, [column, row]], second[:, [column, row]], limits[column], limits[row])
            axes.set_xlabel(labels[column] if row == size - 1 else "")
            axes.set_ylabel(labels[row] if column == 0 and row > 0 else "")
            axes.tick_params(labelbottom=row == size - 1, labelleft=column == 0 and row > 0, labelsize=7)
    handles = [swatch(PALE, filled=True), swatch(MODEL, filled=False)]
    figure.legend(handles, ["data", "samples"], loc="upper right", frameon=False)
    return figure


def calibration(pit: ArrayLike | Tensor, names: Sequence[str] | None = None, *, bins: int = 20) -> Figure:
    r"""Draw whether predicted distributions are calibrated, from their probability integral transforms (PIT).

    Where a predicted distribution function ``F`` is right, ``F(y)`` is uniform. The upper row has the histogram of
    ``F(y)``, the lower the share of values below each predicted level; grey bands hold 95 % of what chance gives a
    calibrated model (Gneiting, Balabdaoui, Raftery 2007, J. R. Statist. Soc. B 69).

    Args:
        pit: ``(n,)`` or ``(n, D)`` numbers in [0, 1], for instance from :func:`pit_values`.
        names: of the columns.
        bins: of the histograms.

    Raises:
        UsageError: if a number is outside [0, 1].

    Example:
        >>> len(calibration(np.random.default_rng(0).random((100, 3))).axes)
        6
    """
    values = array(pit)
    values = values[:, None] if values.ndim == 1 else values
    if not ((values >= 0) & (values <= 1)).all():
        raise UsageError("calibration expects PIT values between 0 and 1: pass F(y), for instance from pit_values()")
    size = values.shape[1]
    labels = list(names) if names is not None else [f"$x_{{{index + 1}}}$" if size > 1 else "" for index in range(size)]
    figure = new_figure(max(2.4 * size, 3.4), 5.2)
    upper, lower = figure.subplots(2, size, squeeze=False)
    for index in range(size):
        draw_pit_histogram(upper[index], values[:, index], bins)
        draw_reliability(lower[index], values[:, index])
        upper[index].set(title=labels[index], ylabel="density" if index == 0 else "")
        lower[index].set(ylabel="share of values below" if index == 0 else "")
    return figure


def pit_values(flow: Flow, data: Tensor, context: Tensor | None = None) -> NDArray[np.float64]:
    """Return the base's distribution function at the latents, ``(n, D)``; uniform where the flow is right.

    In an autoregressive flow with increasing maps it is the PIT of each dimension given the ones before it.

    Raises:
        UsageError: if the base is neither standard normal, nor logistic, nor uniform.
    """
    with torch.no_grad():
        z = flow.encode(data, context)
    if not isinstance(z, Tensor):
        raise UsageError("pit_values expects a flow with one latent, got one with several levels")
    z = z.double()
    if is_normal(flow):
        return torch.special.ndtr(z).numpy()
    if isinstance(flow.base, StandardLogistic):
        return torch.sigmoid(z).numpy()
    if isinstance(flow.base, Uniform):
        return ((z - flow.base.low) / (flow.base.high - flow.base.low)).clamp(0, 1).numpy()
    raise UsageError(f"pit_values expects a standard normal, logistic or uniform base, got {type(flow.base).__name__}")


def save(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 150) -> None:
    """Write a figure; the file's ending chooses the format (png, pdf, svg). A killed run leaves no half file."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=dpi)


def new_figure(width: float, height: float) -> Figure:
    """A figure that belongs to no window."""
    with requires("plots", purpose="a figure"):
        from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def draw_density(
    axes: Axes, log_prob: Callable[[Tensor], Tensor], bounds: tuple[float, float, float, float], resolution: int
) -> None:
    """A heat map of a density on the plane."""
    horizontal = torch.linspace(bounds[0], bounds[1], resolution)
    vertical = torch.linspace(bounds[2], bounds[3], resolution)
    mesh = torch.stack(torch.meshgrid(horizontal, vertical, indexing="xy"), -1).reshape(-1, 2)
    with torch.no_grad():
        density = torch.cat([log_prob(part) for part in mesh.split(16384)]).exp().reshape(resolution, resolution)
    axes.imshow(
        density.numpy(), origin="lower", extent=bounds, cmap=DENSITY_MAP, aspect="auto", interpolation="bilinear"
    )
    plane(axes, bounds, "")


def draw_points(axes: Axes, x: Tensor, bounds: tuple[float, float, float, float], title: str, colour: str) -> None:
    """A cloud of points."""
    axes.scatter(x[:, 0].numpy(), x[:, 1].numpy(), s=3, color=colour, alpha=0.5, linewidths=0)
    plane(axes, bounds, title)


def draw_grid(axes: Axes, flow: Flow, bounds: tuple[float, float, float, float], *, lines: int = 21) -> None:
    """The latent square grid, bent into the data's plane."""
    low, high = base_limits(flow)
    along = torch.linspace(low, high, 400)
    for level in torch.linspace(low, high, lines):
        for pair in ((along, level.expand(400)), (level.expand(400), along)):
            with torch.no_grad():
                curve = flow.decode(torch.stack(pair, -1)).T.numpy()
            axes.plot(*curve, color=LATENT, linewidth=0.6, alpha=0.8)
    plane(axes, bounds, "latent grid in the data's plane")


def draw_marginals(
    axes: Axes, data: NDArray[Any], samples: NDArray[Any], limits: tuple[float, float], bins: int
) -> None:
    """Two histograms of one column."""
    axes.hist(data, bins=bins, range=limits, density=True, color=PALE)
    axes.hist(samples, bins=bins, range=limits, density=True, histtype="step", color=MODEL, linewidth=1.2)
    axes.set(xlim=limits, yticks=[])
    tidy(axes)
    axes.spines["left"].set_visible(False)


def draw_pair(
    axes: Axes,
    data: NDArray[Any],
    samples: NDArray[Any],
    horizontal: tuple[float, float],
    vertical: tuple[float, float],
) -> None:
    """The data's points under the samples' contours."""
    shown = data[:DATA_ONLY]
    axes.scatter(shown[:, 0], shown[:, 1], s=3, color=DATA, alpha=0.25, linewidths=0, rasterized=True)
    density, x_edges, y_edges = smoothed_histogram(samples, horizontal, vertical)
    levels = mass_levels(density, (0.95, 0.8, 0.5, 0.2))
    if len(levels):
        centres = 0.5 * (x_edges[1:] + x_edges[:-1]), 0.5 * (y_edges[1:] + y_edges[:-1])
        axes.contour(*centres, density.T, levels=levels, colors=MODEL, linewidths=0.9)
    axes.set(xlim=horizontal, ylim=vertical)
    tidy(axes)


def draw_pit_histogram(axes: Axes, values: NDArray[Any], bins: int) -> None:
    """The histogram of PIT values with the band of chance."""
    with requires("plots", purpose="the band of chance"):
        from scipy.stats import binom

    count = len(values)
    low, high = binom.ppf([0.025, 0.975], count, 1.0 / bins) * bins / count
    axes.axhspan(low, high, color=PALE, alpha=0.6, linewidth=0)
    axes.hist(values, bins=bins, range=(0, 1), density=True, histtype="step", color=MODEL, linewidth=1.3)
    axes.axhline(1.0, color=DATA, linewidth=0.8, linestyle="--")
    axes.set(xlim=(0, 1), xlabel="$F(y)$", ylim=(0, max(2.0, axes.get_ylim()[1])))
    tidy(axes)


def draw_reliability(axes: Axes, values: NDArray[Any]) -> None:
    """The empirical distribution function of PIT values with the band of chance."""
    with requires("plots", purpose="the band of chance"):
        from scipy.stats import binom

    count = len(values)
    level = np.linspace(0, 1, 201)
    axes.fill_between(
        level, binom.ppf(0.025, count, level) / count, binom.ppf(0.975, count, level) / count, color=PALE, linewidth=0
    )
    axes.plot([0, 1], [0, 1], color=DATA, linewidth=0.8, linestyle="--")
    axes.plot(level, np.searchsorted(np.sort(values), level, side="right") / count, color=MODEL, linewidth=1.3)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted level")
    axes.set_aspect("equal")
    tidy(axes)


def smoothed_histogram(
    values: NDArray[Any], horizontal: tuple[float, float], vertical: tuple[float, float]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """A two-dimensional histogram, smoothed over a cell and a half."""
    with requires("plots", purpose="a smoothed histogram"):
        from scipy.ndimage import gaussian_filter

    bins = int(np.clip(np.sqrt(len(values)) / 1.5, 15, 60))
    counts, x_edges, y_edges = np.histogram2d(values[:, 0], values[:, 1], bins=bins, range=(horizontal, vertical))
    return gaussian_filter(counts, 1.5), x_edges, y_edges


def mass_levels(density: NDArray[Any], shares: Sequence[float]) -> NDArray[Any]:
    """The density levels above which the given shares of the mass lie, increasing and without repeats."""
    ordered = np.sort(density.ravel())[::-1]
    cumulated = np.cumsum(ordered)
    if cumulated[-1] <= 0:
        return np.zeros(0)
    positions = np.minimum(np.searchsorted(cumulated / cumulated[-1], shares), len(ordered) - 1)
    return np.unique(ordered[positions])


def plane(axes: Axes, bounds: tuple[float, float, float, float], title: str) -> None:
    """Set the limits of a plane with equal scales and no ticks."""
    axes.set(xlim=bounds[:2], ylim=bounds[2:], xticks=[], yticks=[], aspect="equal")
    if title:
        axes.set_title(title, fontsize=10)


def headroom(axes: Axes) -> None:
    """Leave room for a legend above what is drawn."""
    axes.set_ylim(0, 1.2 * axes.get_ylim()[1])
    tidy(axes)


def tidy(axes: Axes) -> None:
    """Take away the upper and the right frame line."""
    axes.spines[["top", "right"]].set_visible(False)


def swatch(colour: str, *, filled: bool) -> Any:
    """A mark for a legend."""
    from matplotlib.patches import Patch

    return Patch(facecolor=colour if filled else "none", edgecolor=colour)


def base_limits(flow: Flow) -> tuple[float, float]:
    """The interval of each latent that holds nearly all of the base's mass."""
    if isinstance(flow.base, Uniform):
        margin = 0.002 * (flow.base.high - flow.base.low)
        return flow.base.low + margin, flow.base.high - margin
    return -3.0, 3.0


def is_normal(flow: Flow) -> bool:
    """Whether the base is a standard normal."""
    return isinstance(flow.base, StandardNormal)


def drawable(flow: Flow, features: int) -> Flow:
    """The flow, or a copy of it, in single precision on the CPU.

    Raises:
        ShapeError: unless its events are vectors of ``features``.
    """
    if tuple(flow.event_shape) != (features,):
        raise ShapeError(
            f"this picture expects a flow with events of shape ({features},), got {tuple(flow.event_shape)}"
        )
    state = [value for value in flow.state_dict().values() if value.is_floating_point()]
    if all(value.dtype == torch.float32 and value.device.type == "cpu" for value in state):
        return flow
    return copy.deepcopy(flow).cpu().float()


def points(data: ArrayLike | Tensor, features: int) -> Tensor:
    """The data as a float tensor ``(n, features)``."""
    x = torch.as_tensor(array(data), dtype=torch.float32)
    x = x.unsqueeze(-1) if features == 1 and x.dim() == 1 else x
    if x.dim() != 2 or x.shape[1] != features:
        raise ShapeError(f"this picture expects data of shape (n, {features}), got {tuple(x.shape)}")
    return x


def array(data: ArrayLike | Tensor) -> NDArray[Any]:
    """The data as a float array."""
    return data.detach().cpu().double().numpy() if isinstance(data, Tensor) else np.asarray(data, dtype=np.float64)


def span(x: Tensor, margin: float) -> tuple[float, float]:
    """The interval of the values with a margin of this share on both sides."""
    low, high = x.min().item(), x.max().item()
    pad = margin * (high - low) or 1.0
    return low - pad, high + pad


def plane_bounds(x: Tensor) -> tuple[float, float, float, float]:
    """A square around the points, leaving out the farthest few."""
    finite = x[torch.isfinite(x).all(-1)].double()
    low, high = finite.quantile(0.002, dim=0), finite.quantile(0.998, dim=0)
    middle = 0.5 * (low + high)
    half = 0.58 * (high - low).max().clamp(min=1e-3)
    left, bottom = (middle - half).tolist()
    right, top = (middle + half).tolist()
    return left, right, bottom, top


def quantile_limits(values: NDArray[Any]) -> tuple[float, float]:
    """The interval of a column, leaving out the farthest few."""
    low, high = np.quantile(values, [0.002, 0.998])
    pad = 0.06 * (high - low) or 0.5
    return float(low - pad), float(high + pad)
