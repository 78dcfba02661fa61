"""A report: one self-contained HTML page with numbers and pictures."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pushforward.files import atomic_write

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: .3rem .8rem; border-bottom: 1px solid #ddd; }
td { text-align: right; font-variant-numeric: tabular-nums; } td:first-child, th:first-child { text-align: left; }
figure { margin: 2rem 0; } img { max-width: 100%; } figcaption { color: #555; } code { background: #f4f4f4; }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd; } figure img { background: #fff; }
  figcaption { color: #aaa; } th, td { border-color: #444; } code { background: #2a2a2a; } }
"""


@dataclass
class Table:
    """Rows under column headings; numbers are shown to three decimals."""

    headings: Sequence[str]
    rows: Sequence[Sequence[object]]
    caption: str = ""


@dataclass
class Report:
    """What a report shows, in this order: a title and text, tables, pictures with captions, the configuration."""

    title: str
    text: str
    tables: list[Table] = field(default_factory=list)
    pictures: list[tuple[Path, str]] = field(default_factory=list)
    configuration: Mapping[str, object] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the page to ``path``, with every picture inside it.

        Raises:
            FileError: if the page cannot be written there.
        """
        body = [f"<h1>{html.escape(self.title)}</h1>", f"<p>{html.escape(self.text)}</p>"]
        body += [_table(table) for table in self.tables]
        body += [_figure(picture, caption) for picture, caption in self.pictures]
        if self.configuration:
            body.append(_table(Table(["option", "value"], list(self.configuration.items()), "Configuration")))
        head = (
            f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{html.escape(self.title)}'
        )
        page = f"<!doctype html><html lang='en'><head>{head}</title><style>{STYLE}</style></head><body>"
        atomic_write(path, page + "\n".join(body) + "</body></html>\n")


def format_value(value: object) -> str:
    """Show a number to three decimals, anything else as it is.

    Example:
        >>> format_value(1.23456), format_value(12), format_value("bits")
        ('1.235', '12', 'bits')
    """
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in table.headings)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(format_value(value))}</td>" for value in row) + "</tr>"
        for row in table.rows
    )
    caption = f"<h2>{html.escape(table.caption)}</h2>" if table.caption else ""
    return f"{caption}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _figure(picture: Path, caption: str) -> str:
    content = base64.b64encode(picture.read_bytes()).decode()
    alt = html.escape(caption, quote=True)
    image = f'<img alt="{alt}" src="data:image/png;base64,{content}">'
    return f"<figure>{image}<figcaption>{html.escape(caption)}</figcaption></figure>"
