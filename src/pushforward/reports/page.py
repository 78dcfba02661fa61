"""The page of a report: HTML that stands alone, with its pictures inside."""

from __future__ import annotations

import base64
import html
import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pushforward.files import atomic_write
from pushforward.reports.style import STYLE
from pushforward.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Wider ones are only larger files.
_MOST_PIXELS, _DPI = 1400, 110
#: How a page says what wrote it; the version follows.
GENERATOR = '<meta name="generator" content="pushforward'
#: What a table says where a value is missing.
MISSING = "missing"
_NUMBER = re.compile(r"-?[\d,]*\.?\d+(e[+-]?\d+)?( days)?|\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Table:
    """Rows under column headings; numbers are shown to three decimals.

    Example:
        >>> Table(["model", "nats"], [["nsf", 1.23456]]).html().count(">1.235</td>")
        1
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""

    def html(self) -> str:
        """The table, in a box that a narrow window scrolls."""
        kinds = [
            _of_numbers([row[place] for row in self.rows]) * ' class="number"' for place in range(len(self.headings))
        ]
        head = "".join(
            f'<th scope="col"{kind}>{html.escape(heading)}</th>' for heading, kind in zip(self.headings, kinds)
        )
        rows = "".join(
            "<tr>"
            + "".join(f"<td{kind}>{html.escape(format_value(cell))}</td>" for cell, kind in zip(row, kinds))
            + "</tr>"
            for row in self.rows
        )
        caption = f"<caption>{html.escape(self.caption)}</caption>" if self.caption else ""
        label = html.escape(self.caption or ", ".join(self.headings), quote=True)
        table = f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        return f'<div class="wide" role="region" tabindex="0" aria-label="{label}">{table}</div>'


@dataclass(frozen=True)
class Picture:
    """A PNG with what it shows: ``caption`` stands below it, ``alt`` is for whoever cannot see it.

    Example:
        >>> from pushforward.plots.style import new_figure
        >>> picture = Picture.of_figure(new_figure(2, 1), "Nothing yet.", "an empty picture")
        >>> 'alt="an empty picture" width="220" height="110"' in picture.html()
        True
    """

    content: bytes
    caption: str
    alt: str

    @classmethod
    def of_file(cls, path: Path, caption: str, alt: str) -> Picture:
        """The picture in a ``.png`` file."""
        return cls(path.read_bytes(), caption, alt)

    @classmethod
    def of_figure(cls, figure: Figure, caption: str, alt: str) -> Picture:
        """A figure, as large as a page has room for."""
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=min(_DPI, _MOST_PIXELS / figure.get_figwidth()))
        return cls(content.getvalue(), caption, alt)

    def html(self) -> str:
        """The picture with its size, so that nothing moves while the page is laid out."""
        # A PNG's header has both as big-endian numbers behind its signature and the header's own name.
        width, height = (int.from_bytes(self.content[start : start + 4], "big") for start in (16, 20))
        content = base64.b64encode(self.content).decode()
        size = f'width="{width}" height="{height}"'
        image = f'<img alt="{html.escape(self.alt, quote=True)}" {size} src="data:image/png;base64,{content}">'
        return f"<figure>{image}<figcaption>{html.escape(self.caption)}</figcaption></figure>"


@dataclass(frozen=True)
class Section:
    """A subject of a report: a heading, what there is to say, and tables and pictures in their order.

    Example:
        >>> Section("Score", "Of held-out data.", [Table(["nats"], [[2.5]])]).content[0].rows
        [[2.5]]
    """

    title: str
    text: str = ""
    content: Sequence[Table | Picture] = ()


@dataclass
class Report:
    """What a report shows, in this order: a title and text, sections, the configuration.

    Example:
        >>> report = Report("Moons", "Two of them.", [Section("Score", content=[Table(["nats"], [[2.5]])])])
        >>> page = report.html()
        >>> "<h2 id='s1'>Score</h2>" in page, "Configuration" in page
        (True, False)
    """

    title: str
    text: str
    sections: Sequence[Section]
    configuration: Mapping[str, object] = field(default_factory=dict)

    def html(self) -> str:
        """The page as text."""
        sections = list(self.sections)
        if self.configuration:
            sections.append(
                Section("Configuration", content=[Table(["option", "value"], [*self.configuration.items()])])
            )
        title = html.escape(self.title)
        head = (
            f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
            f'{GENERATOR} {__version__}"><title>{title}</title><style>{STYLE}</style>'
        )
        places = "".join(
            f"<a href='#s{place}'>{html.escape(section.title)}</a>" for place, section in enumerate(sections, 1)
        )
        body = [
            f"<header><h1>{title}</h1><p>{html.escape(self.text)}</p>",
            f"<nav aria-label='Sections'>{places}</nav></header>",
            "<main>",
            *(_section(place, section) for place, section in enumerate(sections, 1)),
            "</main>",
            f"<footer>Written by pushforward {__version__}.</footer>",
        ]
        return f"<!doctype html><html lang='en'><head>{head}</head><body>" + "\n".join(body) + "</body></html>\n"

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the page to ``path``.

        Raises:
            FileError: if the page cannot be written there.
        """
        atomic_write(path, self.html())


def format_value(value: object) -> str:
    """Show a number to three decimals, one that these would hide to three digits, several values one after the other,
    anything else as it is.

    Example:
        >>> format_value(1.23456), format_value(12), format_value("bits"), format_value(0.00012345)
        ('1.235', '12', 'bits', '0.000123')
        >>> format_value([1, 8, 8]), format_value({"age": (0.0, None)})
        ('1, 8, 8', 'age: 0.000, None')
    """
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {format_value(each)}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(format_value, value))
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3f}" if value == 0 or 0.01 <= abs(value) < 1e6 else f"{value:.3g}"


def _of_numbers(cells: Sequence[object]) -> bool:
    """Whether a column holds numbers, which stand with their last digits one below the other, and no words."""
    told = [cell for cell in cells if cell not in ("", MISSING)]
    return bool(told) and all(isinstance(cell, (int, float)) or _NUMBER.fullmatch(str(cell)) for cell in told)


def _section(place: int, section: Section) -> str:
    text = f"<p>{html.escape(section.text)}</p>" if section.text else ""
    content = "\n".join(each.html() for each in section.content)
    return f"<section><h2 id='s{place}'>{html.escape(section.title)}</h2>{text}\n{content}</section>"
