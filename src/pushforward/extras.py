"""Extras: packages that the core does without, and the error that says which to install where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pushforward.errors import MissingExtraError

# Packages whose import name is not the name that they are installed by.
_INSTALLED_AS = {"PIL": "pillow", "sklearn": "scikit-learn"}


@contextmanager
def requires(name: str, purpose: str) -> Iterator[None]:
    """Guard the imports of an extra's packages: where one is not installed, say what to install.

    Args:
        name: the extra, as ``pip install 'pushforward[name]'`` calls it.
        purpose: what needs the packages, the subject of the sentence.

    Raises:
        MissingExtraError: if a package that is imported inside is not installed.

    Example:
        >>> with requires("train", purpose="fit"):
        ...     import package_that_nobody_has
        Traceback (most recent call last):
            ...
        pushforward.errors.MissingExtraError: fit needs package_that_nobody_has, which is not installed: pip install \
'pushforward[train]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        # A module of this library that is not there is a bug, which no installation mends.
        if package in ("", "pushforward"):
            raise
        package = _INSTALLED_AS.get(package, package)
        raise MissingExtraError(
            f"{purpose} needs {package}, which is not installed: pip install 'pushforward[{name}]'"
        ) from error
