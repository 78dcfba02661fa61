"""What an exported method takes and gives: in which order, under which names, of which shapes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from pushforward.version import __version__


@dataclass(frozen=True)
class Port:
    """An input or output, ``(batch, *shape)``.

    Attributes:
        name: what it is called in the file.
        shape: of one event's part of it.
        kind: "events", "latents", "context" or "log-density"; of random numbers, which the caller draws, "normal" (of
            mean 0 and variance 1) or "uniform" (from 0 to 1).

    Example:
        >>> Port("x", (3, 32, 32), "events").shape
        (3, 32, 32)
    """

    name: str
    shape: tuple[int, ...]
    kind: str


@dataclass(frozen=True)
class Signature:
    """What an exported method takes and gives.

    Attributes:
        method: log_prob, encode, decode or sample.
        inputs, outputs: in order.
        columns: the names of an event's numbers, in order; empty where they have none.

    Example:
        >>> signature = Signature("log_prob", (Port("x", (2,), "events"),), (Port("log_prob", (), "log-density"),))
        >>> signature.input_names, signature.output_names
        (['x'], ['log_prob'])
    """

    method: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    columns: tuple[str, ...] = ()

    def to_json(self) -> str:
        """As text, as files hold it, with the version that wrote it."""
        return json.dumps({**asdict(self), "written_by": __version__})

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, in order."""
        return [port.name for port in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs, in order."""
        return [port.name for port in self.outputs]


def ports(kind: str, shapes: list[tuple[int, ...]], name: str) -> tuple[Port, ...]:
    """Inputs or outputs of a kind; several are numbered.

    Example:
        >>> [port.name for port in ports("latents", [(2,), (3,)], "latent")]
        ['latent_0', 'latent_1']
    """
    names = [name] if len(shapes) == 1 else [f"{name}_{index}" for index in range(len(shapes))]
    return tuple(Port(each, shape, kind) for each, shape in zip(names, shapes, strict=True))
