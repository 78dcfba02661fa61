"""Two samples: the classifier of published benchmarks, and discrepancies of kernels, beside closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.model_selection import KFold
from sklearn.neural_network import MLPClassifier

from pushforward import diagnostics
from pushforward.diagnostics.posteriors.kernel_discrepancy import SCALES, median_square, squared_distances
from pushforward.kernels.perceptrons import fit_perceptrons

# Scikit-learn says so where its networks are stopped, as they are here.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_a_classifier_finds_the_shift_of_normals_as_often_as_anyone_can() -> None:
    generator = torch.Generator().manual_seed(0)
    first, second, third = torch.randn(3, 600, 1, generator=generator)
    same, shifted = diagnostics.c2st(first, second), diagnostics.c2st(third + 2, second)
    assert same.p_value > 0.05 and abs(same.value - 0.5) < 0.06
    # The best possible accuracy between N(0, 1) and N(2, 1) is Phi(1).
    assert abs(shifted.value - stats.norm.cdf(1)) < 0.03 and shifted.p_value < 1e-6
    assert float(shifted) == shifted.value


def test_networks_that_are_trained_together_are_those_of_scikit_learn() -> None:
    random = np.random.RandomState(0)
    rows, labels, unseen = random.randn(3, 250, 2), random.rand(3, 250) < 0.5, random.randn(3, 20, 2)
    rows[labels] += 0.5
    probability = fit_perceptrons(torch.from_numpy(rows), torch.from_numpy(labels), 8, seed=3, most_epochs=60)
    for found, *parts in zip(probability(torch.from_numpy(unseen)), rows, labels, unseen, strict=True):
        network = MLPClassifier((8, 8), max_iter=60, random_state=3).fit(*parts[:2])
        np.testing.assert_allclose(found, network.predict_proba(parts[2])[:, 1], rtol=1e-8)


def test_networks_end_where_those_of_scikit_learn_do() -> None:
    random = np.random.RandomState(0)
    rows = random.randn(3, 200, 1)
    # Nothing to learn, and boundaries with ever less noise: the losses stop falling at different times.
    noise = random.randn(3, 200) * np.array([[1e3], [1.0], [0.3]])
    labels = rows[..., 0] + noise > 0
    alone = [
        MLPClassifier((16, 16), max_iter=250, random_state=1).fit(*each) for each in zip(rows, labels, strict=True)
    ]
    assert len({network.n_iter_ for network in alone}) == 3
    probability = fit_perceptrons(torch.from_numpy(rows), torch.from_numpy(labels), 16, seed=1, most_epochs=250)
    for found, given, network in zip(probability(torch.from_numpy(rows)), rows, alone, strict=True):
        np.testing.assert_allclose(found, network.predict_proba(given)[:, 1], rtol=1e-6)


def test_the_classifier_is_that_of_the_benchmark() -> None:
    # 151 and 150 rows: folds of two sizes.
    samples, reference = torch.randn(2, 151, 1, generator=torch.Generator().manual_seed(0)).double()
    samples = samples[:150]
    rows = torch.cat([(each - reference.mean(0)) / reference.std(0) for each in (reference, samples)]).numpy()
    labels, right = np.repeat([0, 1], [151, 150]), []
    for seen, unseen in KFold(n_splits=5, shuffle=True, random_state=1).split(rows):
        network = MLPClassifier((10, 10), max_iter=1000, solver="adam", random_state=1)
        right.append(network.fit(rows[seen].astype(np.float32), labels[seen]).score(rows[unseen], labels[unseen]))
    # In single precision an event at the boundary may change sides.
    assert diagnostics.c2st(samples, reference).value == pytest.approx(np.mean(right), abs=0.01)


def test_the_discrepancy_of_two_normals_is_that_of_the_closed_form() -> None:
    first, second = torch.randn(2, 700, 2, generator=torch.Generator().manual_seed(0)).double()
    shift = torch.tensor([1.0, 0.0])
    found = diagnostics.mmd(first + shift, second, permutations=20)
    rows = torch.cat([(each - second.mean(0)) / second.std(0) for each in (first + shift, second)])
    widths = torch.tensor(SCALES).square() * median_square(squared_distances(rows, rows))
    # E exp(-(x - y)^2 / 2w) of x - y ~ N(m, 2 I) is (w / (w + 2))^(D/2) exp(-m^2 / (2 (w + 2))).
    expected = (2 * widths / (widths + 2) * (1 - torch.exp(-1 / (2 * (widths + 2))))).mean()
    assert found.value == pytest.approx(expected.item(), rel=0.1) and found.p_value < 0.05


def test_the_discrepancy_is_the_sum_over_pairs() -> None:
    first, second = torch.randn(7, 2).double(), torch.randn(9, 2).double() + 1
    found = diagnostics.mmd(first, second, permutations=19)
    one, other = ((each - second.mean(0)) / second.std(0) for each in (first, second))
    rows = torch.cat([one, other])
    squares = (rows[:, None] - rows).square().sum(-1)
    median = squares[squares > 0].median()
    kernel = sum((-squares / (2 * scale**2 * median)).exp() for scale in SCALES) / len(SCALES)
    within = [kernel[part, part] for part in (slice(7), slice(7, 16))]
    means = [(each.sum() - each.trace()) / (len(each) * (len(each) - 1)) for each in within]
    expected = means[0] + means[1] - 2 * kernel[:7, 7:].mean()
    assert found.value == pytest.approx(expected.item())


def test_the_discrepancy_is_unbiased_and_tells_a_shift() -> None:
    generator = torch.Generator().manual_seed(0)
    results = [diagnostics.mmd(*torch.randn(2, 60, 2, generator=generator), permutations=99) for _ in range(60)]
    values = np.array([each.value for each in results])
    assert abs(values.mean()) < 3 * values.std() / 60**0.5
    assert stats.kstest([each.p_value for each in results], "uniform").pvalue > 0.01
    first, second = torch.randn(2, 200, 2, generator=generator)
    assert diagnostics.mmd(first + 0.5, second).p_value < 0.01
