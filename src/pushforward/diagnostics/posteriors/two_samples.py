"""Whether a classifier tells two samples apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.diagnostics.posteriors.sentence import Sentence
from pushforward.diagnostics.posteriors.standardised import check_samples, standardised_rows
from pushforward.extras import requires
from pushforward.kernels.perceptrons import fit_perceptrons
from pushforward.scalar.arguments import check_counts
from pushforward.seeds import check_seed

Places = NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class TwoSampleTest(Sentence):
    """How well a classifier tells two samples apart that it has not seen: 0.5 where they are the same (of equal
    sizes; `guess` of others), 1 where it always does.

    Attributes:
        value: the share of events that it puts into the right sample, the mean over the folds.
        error: its standard error over the folds.
        probabilities: the probability that it gives each event of being of the reference, ``(m + n,)``.
        labels: whether each is of the reference.

    Example:
        >>> labels = np.array([True] * 50 + [False] * 50)
        >>> test = TwoSampleTest(0.5, 0.02, np.full(100, 0.5), labels)
        >>> test.guess, test.p_value
        (0.5, 0.5)
    """

    value: float
    error: float
    probabilities: NDArray[np.float64]
    labels: NDArray[np.bool_]

    @property
    def guess(self) -> float:
        """The share that is right of always naming the larger sample."""
        share = float(self.labels.mean())
        return max(share, 1.0 - share)

    @property
    def p_value(self) -> float:
        """Of the two being the same, by the normal law of the share ``g`` of ``n`` guesses, ``N(g, g (1 - g) / n)``,
        which is ``N(1/2, 1/(4n))`` for samples of equal sizes; small where they differ. On the safe side for a few
        hundred events: where a fold holds out more of one sample, its network has seen more of the other, and guesses
        that."""
        deviation = math.sqrt(self.guess * (1.0 - self.guess) / len(self.labels))
        return 0.5 * math.erfc((self.value - self.guess) / (math.sqrt(2.0) * deviation))

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        return f"{self.value:.4f} +- {self.error:.2g}, p = {self.p_value:.3g}"


def c2st(samples: Tensor, reference: Tensor, *, folds: int = 5, seed: int = 1) -> TwoSampleTest:
    """Classifier two-sample test: the accuracy of a network that is trained to tell samples from a reference.

    The published form for posteriors: scikit-learn's multilayer perceptron with two layers of ``10 D`` units, both
    samples standardised by the reference, accuracy over five folds. The networks of the folds are trained at once, in
    single precision, with scikit-learn's own start, order and steps.

    Args:
        samples: ``(n, D)``, what is tested.
        reference: ``(m, D)``, what it should be like; of the same size, so that guessing is right half of the time.
        folds: of the cross-validation, two at least.
        seed: of the folds and of the networks.

    Raises:
        UsageError: if there are fewer folds.
        ShapeError: if the features differ.
        DataError: if there are fewer events than folds, or one is not finite.

    Source: Lopez-Paz, Oquab (2017), arXiv:1610.06545; Lueckmann et al. (2021), arXiv:2101.04653, for this classifier.

    Example:
        >>> first, second = torch.randn(2, 100, 1, generator=torch.Generator().manual_seed(0))
        >>> c2st(first + 4, second).value > 0.9
        True
    """
    check_counts("c2st", least=2, folds=folds)
    check_seed("seed", seed)
    check_samples("c2st", samples, reference, folds)
    rows = torch.cat([standardised_rows(each, reference) for each in (reference, samples)]).float()
    # The reference first, as in the benchmark that publishes this test: seeds then give the same folds.
    labels = np.arange(len(rows)) < len(reference)
    parts = _folds(len(rows), folds, seed)
    # The second class of the benchmark is the samples: its labels, though what is kept speaks of the reference.
    of_samples = _held_out(rows, torch.from_numpy(~labels), parts, seed)
    right = (of_samples > 0.5) == ~labels
    accuracies = np.array([right[held_out].mean() for _, held_out in parts])
    return TwoSampleTest(
        float(accuracies.mean()), float(accuracies.std(ddof=1)) / math.sqrt(folds), 1.0 - of_samples, labels
    )


def _folds(count: int, folds: int, seed: int) -> list[tuple[Places, Places]]:
    """The places of the rows that are learned from, and of those that are held out, for each fold."""
    with requires("diagnostics", purpose="c2st"):
        from sklearn.model_selection import KFold

    return list(KFold(folds, shuffle=True, random_state=seed).split(np.empty(count)))


def _held_out(rows: Tensor, labels: Tensor, parts: list[tuple[Places, Places]], seed: int) -> NDArray[np.float64]:
    """The probability of a true label that each row is given by the network that has not seen it."""
    found = np.empty(len(rows))
    # Networks that are trained on equally many rows are trained together.
    for _, equal in groupby(sorted(parts, key=_learned), key=_learned):
        several = list(equal)
        seen, unseen = (torch.from_numpy(np.stack(places)) for places in zip(*several, strict=True))
        probability = fit_perceptrons(rows[seen], labels[seen], 10 * rows.shape[1], seed)
        found[unseen.numpy()] = probability(rows[unseen]).numpy()
    return found


def _learned(part: tuple[Places, Places]) -> int:
    return len(part[0])
