"""The named models: short recipes of the parts, without mathematics."""

from pushforward.models import couplings, discrete, images, vectors  # noqa: F401  (the recipes register themselves)
from pushforward.models.registry import build, list_models, model, recipe_options

__all__ = ["build", "list_models", "model", "recipe_options"]
