"""The pictures show what they say: the curves are the flow's own numbers, the bands and levels hold their shares."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import pushforward as pf
from pushforward import plots
from pushforward.diagnostics.calibration import directions
from pushforward.distributions import DiagonalNormal, Distribution, StandardLogistic, StandardNormal, Uniform
from pushforward.errors import DataError, ShapeError, UsageError
from pushforward.flows import Flow
from pushforward.plots.pairs import mass_levels
from pushforward.plots.pictures import even_columns, page_of
from pushforward.plots.points import plane_bounds
from pushforward.scalar import Affine, Tanh
from pushforward.spaces import Reals
from pushforward.transforms import Bijection, Elementwise, Householder


def affine_flow(features: int, base: Distribution | None = None) -> Flow:
    """A flow that divides by 2 and then shifts, so that the truth is known."""
    torch.manual_seed(0)
    layer = Elementwise(Affine(), (features,))
    with torch.no_grad():
        layer.parameters_per_element[..., 0] = -np.log(2.0)
        layer.parameters_per_element[..., 1] = 0.5
    base = base or StandardNormal((features,))
    last = Tanh() if isinstance(base, Uniform) else Affine()
    return Flow([layer, Elementwise(last, (features,))], base)


@pytest.fixture()
def points_1d() -> Tensor:
    return 2 * torch.randn(400, 1, generator=torch.Generator().manual_seed(0))


@pytest.fixture()
def points_2d() -> Tensor:
    return 2 * torch.randn(300, 2, generator=torch.Generator().manual_seed(0))


def test_one_dimension_draws_density_map_and_latents(points_1d: Tensor) -> None:
    flow = affine_flow(1)
    figure = plots.flow_1d({"before": flow, "after": flow}, points_1d)
    assert len(figure.axes) == 6
    density, image, latent = figure.axes[:3]
    x, y = density.lines[0].get_data()
    expected = flow.log_prob(torch.as_tensor(x)[:, None]).exp().detach().numpy()
    np.testing.assert_allclose(y, expected, rtol=1e-4)
    bars = np.array([[bar.get_height(), bar.get_width()] for bar in density.patches])
    assert abs((bars[:, 0] * bars[:, 1]).sum() - 1) < 1e-6
    x, z = image.lines[0].get_data()
    np.testing.assert_allclose(z, flow.encode(torch.as_tensor(x)[:, None]).detach().numpy()[:, 0], rtol=1e-4)
    z, base = latent.lines[0].get_data()
    np.testing.assert_allclose(base, np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi), rtol=1e-4)
    assert density.get_ylabel() == "before" and figure.axes[3].get_ylabel() == "after"


def test_two_dimensions_draw_the_flows_own_density(points_2d: Tensor) -> None:
    flow = affine_flow(2)
    figure = plots.flow_2d(flow, points_2d, generator=torch.Generator().manual_seed(0))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "data",
        "samples",
        "density",
        "latent grid in the data's plane",
        "latents of the data, on the base",
    ]
    image = figure.axes[2].images[0]
    left, right, bottom, top = image.get_extent()
    cell = (right - left) * (top - bottom) / (200 * 200)
    assert 0.9 < image.get_array().sum() * cell < 1.01
    latents = figure.axes[4].collections[0].get_offsets()
    np.testing.assert_allclose(latents, flow.encode(points_2d).detach().numpy(), atol=1e-5)


def test_latents_are_drawn_on_the_base(points_2d: Tensor) -> None:
    axes = plots.flow_2d(affine_flow(2), points_2d, generator=torch.Generator().manual_seed(0)).axes[4]
    (base,) = axes.images
    left, right, bottom, top = base.get_extent()
    density = np.asarray(base.get_array())
    cell = (right - left) * (top - bottom) / density.size
    assert abs(density.sum() * cell - 1) < 0.03 and abs(density.max() - 1 / (2 * np.pi)) < 1e-3


def test_axes_have_numbers_names_and_a_bar_of_colours(points_2d: Tensor) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(points_2d.numpy(), columns=["width [cm]", "height [cm]"])
    flow = affine_flow(2)
    figure = plots.flow_2d(flow, frame, generator=torch.Generator().manual_seed(0))
    for axes in [*figure.axes[:4], *plots.warped_grid(flow, frame).axes, *plots.scatter_2d(frame).axes]:
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("width [cm]", "height [cm]")
        assert len(axes.get_xticks()) > 2 and len(axes.get_yticks()) > 2
    (bar,) = figure.axes[2].child_axes
    assert bar.get_ylabel() == "density"
    assert [axes.get_xlabel() for axes in plots.corner(frame, frame).axes[2:]] == list(frame.columns)
    assert plots.scatter_2d(points_2d).axes[0].get_xlabel() == "$x_{1}$"
    with pytest.raises(ShapeError, match="as many names"):
        plots.corner(points_2d, points_2d, ["one"])


@pytest.fixture()
def conditional_flow() -> Flow:
    """A flow of two numbers given three, whose context matters."""
    torch.manual_seed(0)
    flow = pf.build("realnvp", features=2, context=3, layers=2, hidden=8)
    with torch.no_grad():
        for value in flow.parameters():
            value.add_(0.3 * torch.randn_like(value))
    return flow


@pytest.mark.parametrize("context", [torch.tensor([1.0, -1.0, 2.0]), torch.tensor([[1.0, -1.0, 2.0]]).double()])
def test_a_flow_at_a_context_is_drawn_at_this_context(
    conditional_flow: Flow, context: Tensor, points_2d: Tensor
) -> None:
    conditioned = conditional_flow.condition(context)
    rows = context.float().reshape(1, 3).expand(len(points_2d), 3)
    figure = plots.flow_2d(conditioned, points_2d, generator=torch.Generator().manual_seed(0))
    latents = conditional_flow.encode(points_2d, rows).detach().numpy()
    np.testing.assert_allclose(figure.axes[4].collections[0].get_offsets(), latents, atol=1e-5)
    last = plots.steps_2d(conditioned, points_2d).axes[len(conditional_flow.transform)]
    np.testing.assert_allclose(last.collections[0].get_offsets(), latents, atol=1e-5)
    grid = plots.warped_grid(conditioned, points_2d).axes[0].lines[0].get_xydata()
    start = conditional_flow.decode(torch.tensor([[-3.0, -3.0]]), rows[:1]).detach().numpy()[0]
    np.testing.assert_allclose(grid[0], start, atol=1e-4)
    density = plots.density_2d(conditioned, (-3, 3, -3, 3), resolution=3).axes[0].images[0].get_array()
    middle = conditional_flow.log_prob(torch.zeros(1, 2), rows[:1]).exp().item()
    assert abs(density[1, 1] - middle) < 1e-5
    np.testing.assert_array_equal(plots.pit_values(conditioned, points_2d).shape, points_2d.shape)


def test_a_conditional_flow_is_drawn_at_several_contexts(conditional_flow: Flow, points_2d: Tensor) -> None:
    given = {"low": torch.tensor([-1.0, 0.0, 1.0]), "high": torch.tensor([2.0, -1.0, 0.0])}
    figure = plots.contexts_2d(conditional_flow, given, (-3, 3, -3, 3), data={"high": points_2d})
    assert [axes.get_title() for axes in figure.axes] == ["low", "high"]
    corner = torch.tensor([[-3.0, -3.0]])
    for axes, context in zip(figure.axes, given.values()):
        expected = conditional_flow.log_prob(corner, context[None]).exp().item()
        np.testing.assert_allclose(axes.images[0].get_array()[0, 0], expected, rtol=1e-4)
    assert [len(axes.collections) for axes in figure.axes] == [0, 1]
    with pytest.raises(UsageError, match="same titles"):
        plots.contexts_2d(conditional_flow, given, (-3, 3, -3, 3), data={"other": points_2d})


def test_a_flow_at_a_context_is_drawn_on_the_line(points_1d: Tensor) -> None:
    flow = pf.build("maf", features=1, context=2, layers=1, hidden=8)
    context = torch.tensor([0.5, 2.0])
    density = plots.flow_1d(flow.condition(context), points_1d).axes[0]
    x, y = density.lines[0].get_data()
    expected = flow.log_prob(torch.as_tensor(x)[:, None], context.expand(len(x), 2)).exp().detach().numpy()
    np.testing.assert_allclose(y, expected, rtol=1e-4)


def test_a_distribution_of_torch_is_drawn_where_it_has_density() -> None:
    uniform = torch.distributions.Independent(torch.distributions.Uniform(torch.zeros(2), torch.ones(2)), 1)
    density = plots.density_2d(uniform, (-0.6, 1.5, -0.6, 1.5), resolution=4).axes[0].images[0].get_array()
    np.testing.assert_allclose(density, np.pad(np.ones((2, 2)), 1))
    normal = torch.distributions.MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    assert (
        abs(plots.density_2d(normal, (-1, 1, -1, 1), resolution=3).axes[0].images[0].get_array()[1, 1] - 0.1592) < 1e-4
    )


def test_what_cannot_be_drawn_is_named(conditional_flow: Flow, points_1d: Tensor, points_2d: Tensor) -> None:
    normal = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    for picture in (plots.flow_2d, plots.warped_grid, plots.steps_2d, plots.pit_values):
        with pytest.raises(UsageError, match="MultivariateNormal, which has no latents"):
            picture(normal, points_2d)
    with pytest.raises(UsageError, match="no latents"):
        plots.flow_1d({"one": normal}, points_1d)
    several = conditional_flow.condition(torch.zeros(4, 3))
    for picture in (plots.flow_2d, plots.warped_grid, plots.steps_2d):
        with pytest.raises(ShapeError, match=r"at one context, got contexts of shape \(4,\)"):
            picture(several, points_2d)
    with pytest.raises(ShapeError, match="Independent"):
        plots.density_2d(torch.distributions.Normal(torch.zeros(2), torch.ones(2)), (-1, 1, -1, 1))
    with pytest.raises(UsageError, match="flow, a distribution or a function"):
        plots.density_2d("moons", (-1, 1, -1, 1))
    with pytest.raises(DataError, match="got 1 that are missing or infinite"):
        plots.corner([[1.0, 2.0], [float("nan"), 0.0]], points_2d)
    with pytest.raises(DataError, match="got none"):
        plots.flow_2d(conditional_flow.condition(torch.zeros(3)), points_2d[:0])
    with pytest.raises(UsageError, match="fixed context already"):
        plots.pit_values(conditional_flow.condition(torch.zeros(3)), points_2d, torch.zeros(3))


def test_a_grid_has_no_image_under_a_flow_that_draws(points_2d: Tensor) -> None:
    flow = pf.models.snf(features=2, layers=1, steps=1, hidden=4)
    for picture in (plots.flow_2d, plots.warped_grid):
        with pytest.raises(UsageError, match="Relaxation draws on the way"):
            picture(flow, points_2d)


def test_flows_in_double_precision_are_drawn_and_left_as_they_are(points_2d: Tensor) -> None:
    flow = affine_flow(2).double()
    for picture in (plots.flow_2d, plots.warped_grid, plots.steps_2d):
        assert picture(flow, points_2d).axes
    assert next(flow.parameters()).dtype == torch.float64


def test_density_has_its_corner_at_the_lower_left() -> None:
    figure = plots.density_2d(lambda x: -8 * ((x - torch.tensor([2.0, -1.0])) ** 2).sum(-1), (-3, 3, -3, 3))
    density = figure.axes[0].images[0].get_array()
    row, column = np.unravel_index(np.argmax(density), density.shape)
    assert abs(np.linspace(-3, 3, 300)[column] - 2) < 0.05
    assert abs(np.linspace(-3, 3, 300)[row] + 1) < 0.05


def test_warped_grid_is_the_image_of_latent_lines(points_2d: Tensor) -> None:
    flow = affine_flow(2)
    figure = plots.warped_grid(flow, points_2d)
    lines = figure.axes[0].lines
    assert len(lines) == 42
    x = np.concatenate([line.get_xdata() for line in lines])
    corners = flow.decode(torch.tensor([[-3.0, -3.0], [3.0, 3.0]])).detach()
    assert abs(x.min() - corners[0, 0]) < 1e-4 and abs(x.max() - corners[1, 0]) < 1e-4


def test_steps_draw_the_data_after_each_part(points_2d: Tensor) -> None:
    flow = affine_flow(2)
    figure = plots.steps_2d(flow, points_2d)
    drawn = [axes for axes in figure.axes if axes.collections]
    assert [axes.get_title() for axes in drawn] == ["data", "1: Elementwise", "2: Elementwise"]
    np.testing.assert_allclose(drawn[0].collections[0].get_offsets(), points_2d, atol=1e-6)
    last = flow.encode(points_2d).detach().numpy()
    np.testing.assert_allclose(drawn[2].collections[0].get_offsets(), last, atol=1e-5)


def test_corner_has_every_pair_once() -> None:
    rng = np.random.default_rng(0)
    data, samples = rng.normal(size=(500, 3)), rng.normal(size=(400, 3))
    figure = plots.corner(data, samples, ["a", "b", "c"])
    shown = [axes for axes in figure.axes if axes.axison]
    assert len(shown) == 6
    assert [axes.get_xlabel() for axes in figure.axes[6:]] == ["a", "b", "c"]
    twelve = plots.corner(rng.normal(size=(60, 12)), rng.normal(size=(60, 12)))
    assert max(twelve.get_size_inches()) < 14
    constant = plots.corner(np.zeros((50, 2)), np.zeros((50, 2)))
    assert len(constant.axes) == 4
    with pytest.raises(ShapeError, match="same columns"):
        plots.corner(data, samples[:, :2])


def test_contours_hold_their_share_of_the_mass() -> None:
    density = np.random.default_rng(0).random((30, 30)) ** 3
    levels = mass_levels(density, (0.9, 0.5))
    shares = [density[density >= level].sum() / density.sum() for level in levels]
    np.testing.assert_allclose(shares, [0.9, 0.5], atol=0.01)


def test_calibration_bands_hold_what_is_uniform() -> None:
    rng = np.random.default_rng(0)
    figure = plots.calibration(np.stack([rng.random(2000), rng.beta(0.5, 0.5, 2000)], 1), ["right", "wrong"])
    outside = []
    for axes in figure.axes[2:]:
        level, share = axes.lines[1].get_data()
        band = axes.collections[0].get_paths()[0]
        corners = band.get_extents()
        assert corners.x0 == 0 and corners.x1 == 1
        outside.append(np.abs(share - level).max() * np.sqrt(2000))
    assert outside[0] < 1.7 < outside[1]
    figure.draw_without_rendering()
    sizes = {tuple(np.round(axes.get_window_extent().size)) for axes in figure.axes}
    assert len(sizes) == 1, "panels of several sizes"
    (legend,) = figure.legends
    assert any("95 %" in text.get_text() for text in legend.get_texts())
    assert len(plots.calibration(rng.random((50, 8))).axes) == 16
    with pytest.raises(UsageError, match="between 0 and 1"):
        plots.calibration([0.5, 1.5])


@pytest.mark.parametrize("base", [StandardNormal((1,)), StandardLogistic((1,)), Uniform((1,), -1.0, 1.0)])
def test_pit_values_are_uniform_where_the_flow_is_right(base: Distribution) -> None:
    from scipy.stats import kstest

    flow = affine_flow(1, base)
    x = flow.sample(2000, generator=torch.Generator().manual_seed(0))
    assert kstest(plots.pit_values(flow, x)[:, 0], "uniform").pvalue > 1e-3


@pytest.mark.parametrize("base", [StandardNormal((1,)), StandardLogistic((1,)), Uniform((1,), -1.0, 1.0)])
def test_pit_values_of_a_decreasing_map_are_mirrored(base: Distribution) -> None:
    flow = affine_flow(1, base)
    first, last = flow.transform
    mirrored = Flow([first, Householder(1), last], base)
    x = torch.linspace(-5.0, 5.0, 11)[:, None]
    pit = plots.pit_values(mirrored, x)[:, 0]
    assert (np.diff(pit) > 0).all()
    np.testing.assert_allclose(pit, plots.pit_values(flow, x)[:, 0], atol=1e-5)
    assert plots.pit_values(mirrored, x[:0]).shape == (0, 1)


def test_each_dimension_has_its_own_direction() -> None:
    class Mirror(Bijection):
        """The second dimension turned round, and sheared by the first."""

        domain = codomain = Reals((2,))

        def forward(self, x: Tensor, context: Any = None, generator: Any = None) -> tuple[Tensor, Tensor]:
            return torch.stack([x[..., 0], 3 * x[..., 0] - x[..., 1]], -1), x.new_zeros(x.shape[:-1])

        def inverse(self, z: Tensor, context: Any = None, generator: Any = None) -> tuple[Tensor, Tensor]:
            return self.forward(z)

    flow = Flow([Mirror()], StandardNormal((2,)))
    assert directions(flow).tolist() == [1.0, -1.0]
    pit = plots.pit_values(flow, torch.tensor([[0.0, 1.0], [0.0, 2.0]]))
    assert (pit[:, 0] == 0.5).all() and 0.5 < pit[0, 1] < pit[1, 1]
    images = Flow([Elementwise(Affine(), (1, 2, 2))], StandardNormal((1, 2, 2)))
    with pytest.raises(ShapeError, match="vectors"):
        plots.pit_values(images, torch.zeros(3, 1, 2, 2))


def test_pictures_are_written_and_misuse_is_named(tmp_path: Path, points_1d: Tensor) -> None:
    path = tmp_path / "flow.png"
    plots.save(plots.flow_1d(affine_flow(1), points_1d), path, dpi=40)
    assert path.read_bytes().startswith(b"\x89PNG") and [file.name for file in tmp_path.iterdir()] == ["flow.png"]
    with pytest.raises(ShapeError, match=r"shape \(1,\)"):
        plots.flow_1d(affine_flow(2), points_1d)
    with pytest.raises(ShapeError, match=r"\(n, 2\)"):
        plots.flow_2d(affine_flow(2), points_1d)
    with pytest.raises(UsageError, match="base"):
        plots.pit_values(affine_flow(1, DiagonalNormal((1,))), points_1d)


@pytest.mark.parametrize(("count", "rows", "columns"), [(10, 2, 5), (12, 3, 4), (64, 8, 8), (7, 3, 3)])
def test_a_grid_of_images_has_no_holes_where_their_number_allows(count: int, rows: int, columns: int) -> None:
    page = page_of(torch.zeros(count, 1, 28, 28), 1.0, even_columns(count))
    assert page.shape[:2] == (rows * 58 + 2, columns * 58 + 2)
    black = (page == 0).sum() / (56 * 56)
    assert black == count


@pytest.mark.parametrize("name", ["figure.foo", "figure"])
def test_a_figure_of_no_known_ending_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"{name}: expected a name that ends in .*\.png"):
        plots.save(plots.scatter_2d(torch.randn(5, 2)), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_conditional_flow_without_its_context_is_refused(conditional_flow: Flow, points_2d: Tensor) -> None:
    with pytest.raises(UsageError, match=r"flow\.condition\(context\)"):
        plots.flow_2d(conditional_flow, points_2d)


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e6])
def test_points_of_any_scale_fill_the_plane(scale: float) -> None:
    left, right, bottom, top = plane_bounds(1.0 + scale * torch.tensor([[-1.0, -1.0], [1.0, 1.0]], dtype=torch.float64))
    assert left < 1.0 < right and bottom < 1.0 < top
    assert right - left == pytest.approx(2.32 * scale if scale else 2.0, rel=0.01)


def test_few_points_are_drawn_larger() -> None:
    few, many = (plots.scatter_2d(torch.randn(count, 2)).axes[0].collections[0].get_sizes()[0] for count in (2, 2000))
    assert few > 4 * many


def test_the_legend_of_a_single_column_is_outside_of_its_panel() -> None:
    figure = plots.corner(np.random.default_rng(0).normal(size=(50, 1)), np.zeros((50, 1)))
    figure.draw_without_rendering()
    legend, panel = figure.legends[0].get_window_extent(), figure.axes[0].get_window_extent()
    assert legend.y0 >= panel.y1


def test_long_names_of_calibrated_columns_do_not_meet() -> None:
    names = [f"a very long name of the column {index} in metres" for index in range(4)]
    figure = plots.calibration(np.random.default_rng(0).random((50, 4)), names)
    figure.draw_without_rendering()
    boxes = [axes.title.get_window_extent() for axes in figure.axes[:4]]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
