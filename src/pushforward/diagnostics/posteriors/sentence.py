"""Results of tests are shown by what they say, not by all the numbers that they hold."""

from __future__ import annotations


class Sentence:
    """What is shown at a prompt by its ``str``, behind the name of its class.

    Example:
        >>> class Distance(Sentence):
        ...     def __str__(self):
        ...         return "0.1 +- 0.02"
        >>> Distance()
        Distance(0.1 +- 0.02)
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"
