"""Named recipes: build a flow by name, save it with its recipe, load it without running code."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pushforward.errors import CheckpointError, PushforwardError, UsageError
from pushforward.flows.flow import Flow

Recipe = Callable[..., Flow]
FORMAT_VERSION = 1
_recipes: dict[str, Recipe] = {}


def register(name: str) -> Callable[[Recipe], Recipe]:
    """Make a recipe, a function with keyword configuration that returns a :class:`Flow`, known by ``name``.

    The configuration must be plain JSON values (numbers, strings, lists), since it is saved beside the weights.

    Raises:
        UsageError: if the name is taken.
    """

    def add(recipe: Recipe) -> Recipe:
        if name in _recipes:
            raise UsageError(f"register expects a new name, got {name!r}, which is taken: choose another")
        _recipes[name] = recipe
        return recipe

    return add


def list_models() -> dict[str, str]:
    """Return the names of all recipes with the first line of what each says of itself."""
    return {name: (inspect.getdoc(recipe) or "").split("\n")[0] for name, recipe in sorted(_recipes.items())}


def recipe_options(name: str) -> dict[str, inspect.Parameter]:
    """Return the keyword options that the recipe ``name`` takes."""
    return dict(inspect.signature(find_recipe(name)).parameters)


def build(name: str, **config: Any) -> Flow:
    """Build the flow of a named recipe.

    Raises:
        UsageError: if the name is unknown, an option is unknown or missing, or a value does not fit.

    Example:
        >>> import pushforward as pf
        >>> flow = pf.build("realnvp", features=2, layers=2)
        >>> flow.log_prob(torch.zeros(3, 2)).shape
        torch.Size([3])
    """
    recipe = find_recipe(name)
    known = recipe_options(name)
    unknown = sorted(set(config) - set(known))
    if unknown:
        raise UsageError(f"{name} has no option {', '.join(unknown)}: it takes {', '.join(known)}")
    missing = [key for key, option in known.items() if option.default is option.empty and key not in config]
    if missing:
        raise UsageError(f"{name} needs {', '.join(missing)}: pass {missing[0]}=")
    try:
        flow = recipe(**config)
    except (TypeError, ValueError, RuntimeError, IndexError, ZeroDivisionError) as error:
        if isinstance(error, PushforwardError):
            raise
        given = ", ".join(f"{key}={value!r}" for key, value in config.items())
        raise UsageError(f"{name} cannot be built from {given}: {str(error).splitlines()[0]}") from error
    flow.config = {"model": name, **config}
    return flow


def save(flow: Flow, path: str | Path) -> None:
    """Write weights and configuration as safetensors, to a temporary name first, so that no half file is left.

    Raises:
        UsageError: if the flow was put together by hand and so has no recipe that :func:`load` could follow.
    """
    from safetensors.torch import save as to_bytes

    from pushforward.files import atomic_write

    if flow.config is None:
        raise UsageError("save expects a flow made by build(): register a recipe, or keep flow.state_dict() yourself")
    # The format refuses tensors that share memory, as equal masks may.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in flow.state_dict().items()
    }
    metadata = {"format": "pushforward", "version": str(FORMAT_VERSION), "config": json.dumps(flow.config)}
    atomic_write(path, to_bytes(tensors, metadata))


def load(path: str | Path, device: str | torch.device = "cpu") -> Flow:
    """Read a flow that :func:`save` wrote; loading runs no code from the file.

    Raises:
        CheckpointError: if the file is missing, corrupt, foreign, of a newer version, or does not fit its recipe.
    """
    metadata, tensors = _read(Path(path))
    config = _configuration(metadata, path)
    try:
        flow = build(config.pop("model"), **config)
        if any(tensor.dtype == torch.float64 for tensor in tensors.values()):
            flow.double()
        flow.load_state_dict(tensors)
    except (UsageError, RuntimeError, KeyError, TypeError) as error:
        reason = str(error).split("\n")[0]
        raise CheckpointError(f"{path} does not fit its recipe ({reason}): it was made by another version") from error
    return flow.to(device).eval()


def find_recipe(name: str) -> Recipe:
    """Return the recipe ``name``, a function.

    Raises:
        UsageError: if there is none of that name.
    """
    if name not in _recipes:
        raise UsageError(f"unknown model {name!r}: the models are {', '.join(sorted(_recipes))}")
    return _recipes[name]


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"{path} expects a model file, got {'a folder' if path.is_dir() else 'nothing there'}")
    try:
        with safe_open(str(path), framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a readable safetensors file ({error}): it is damaged or foreign"
        ) from error


def _configuration(metadata: dict[str, str], path: str | Path) -> dict[str, Any]:
    if metadata.get("format") != "pushforward" or "config" not in metadata:
        raise CheckpointError(f"{path} is a safetensors file, but not one that pushforward saved")
    if metadata.get("version") != str(FORMAT_VERSION):
        raise CheckpointError(
            f"{path} has format version {metadata.get('version')}, expected {FORMAT_VERSION}: update pushforward"
        )
    try:
        config = json.loads(metadata["config"])
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{path} holds a configuration that is not JSON: the file is damaged") from error
    if not isinstance(config, dict) or "model" not in config:
        raise CheckpointError(f"{path} holds a configuration without a model name: the file is damaged")
    return config
