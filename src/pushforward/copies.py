"""Copies of arguments, so that a part does not follow what happens to them later."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn


def own_copy(value: Any) -> Any:
    """Return copies of what can change behind a part's back: lists, dictionaries, arrays and constant tensors.

    The part gets some and its memory gets others, so that neither follows what the caller, or a load of weights, does
    to them later. Modules, parameters and what else requires gradients are shared on purpose. An iterator, which
    can be read once, becomes a list.

    Example:
        >>> hidden = [8, 8]
        >>> own_copy(hidden) == hidden, own_copy(hidden) is hidden
        (True, False)
    """
    if isinstance(value, Iterator):
        value = list(value)
    if isinstance(value, torch.Tensor):
        return value if isinstance(value, nn.Parameter) or value.requires_grad else value.clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    # Of these types alone: a subclass may have a constructor of its own.
    if type(value) in (list, tuple):
        return type(value)(own_copy(each) for each in value)
    if type(value) in (dict, OrderedDict):
        return type(value)((key, own_copy(each)) for key, each in value.items())
    if type(value) is functools.partial:
        return functools.partial(value.func, *own_copy(value.args), **own_copy(value.keywords))
    return value
