"""Labels of images on the command line: what their models are told of each event, as columns are of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pushforward.cli.given_frames import Scored, scored
from pushforward.data.dataset import Dataset
from pushforward.data.labels import Labels, has_labels, load_labels
from pushforward.errors import DataError, UsageError

if TYPE_CHECKING:
    from pushforward.cli.runs import Run
    from pushforward.flows.flow import Flow

#: What labels are called where columns of a table are named: ``--context label``, ``--given label=7``.
LABEL = "label"


def count_labels(labels: Labels) -> int:
    """How many labels there are, if they are counted from 0.

    Raises:
        UsageError: one is below 0.
    """
    every = torch.cat([labels.train, labels.validation, labels.test])
    if int(every.min()) < 0:
        raise UsageError(f"--context {LABEL} expects labels from 0 on, got {int(every.min())}")
    return int(every.max()) + 1


def labels_of(spec: str, data: Dataset, classes: int | None = None) -> Labels:
    """The labels that data bring along.

    Args:
        spec: the data's name, as `load_data` takes it.
        data: the data themselves.
        classes: how many labels a model was trained with.

    Raises:
        DataError: the data bring none, or one that the model was not trained with.
    """
    if not has_labels(spec):
        raise DataError(
            f"labels are the context here, and {spec} brings none: digits, mnist:FOLDER and cifar10:FOLDER do; in "
            "Python any labels are a context: pf.fit(flow, (x, labels))"
        )
    labels = load_labels(spec).check(data)
    if classes is not None and count_labels(labels) > classes:
        raise DataError(
            f"the model was trained with labels from 0 to {classes - 1}, and {spec} has {count_labels(labels) - 1}"
        )
    return labels


def scored_parts(run: Run, flow: Flow, data: Dataset, spec: str) -> dict[str, Scored]:
    """The parts of data as a flow scores them: events alone, what comes behind the first frames of clips, or events
    with their labels.

    Raises:
        DataError: the flow was trained with labels, and the data that ``spec`` names have none, or others.
    """
    if run.labels is None:
        return {name: scored(flow, x) for name, x in data.parts().items()}
    labels = labels_of(spec, data, run.labels)
    return {name: (x, getattr(labels, name)) for name, x in data.parts().items()}


def parse_label(run: Run, given: Sequence[str]) -> Tensor | None:
    """The label of ``--given label=VALUE``; None for a model that is told none.

    Raises:
        UsageError: it is missing, superfluous, written otherwise, or none of the labels.
    """
    if run.labels is None:
        if given:
            raise UsageError(
                f"--given is for runs of tables and of images with labels (train --context {LABEL}), and this flow has "
                "nothing to give"
            )
        return None
    values = [item.partition("=")[2] for item in given if item.partition("=")[0] == LABEL]
    known = {str(label): label for label in range(run.labels)}
    if len(values) != 1 or len(given) != 1 or values[0] not in known:
        wanted = f"--given {LABEL}=VALUE, from 0 to {run.labels - 1}"
        raise UsageError(f"this model needs {wanted}, got {' '.join(given) or 'none'}")
    return torch.tensor(known[values[0]])
