"""Reports: one page for every kind of run, which stands alone and says what the run's own commands say."""

from __future__ import annotations

import base64
import html.parser
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

import pushforward as pf
from pushforward.cli.main import run as run_command
from pushforward.cli.report import refuse_other_page
from pushforward.reports import Picture, Report, Section, Table, marginal_table, training_curve, unlikely_rows

LARGEST = 3_000_000
VOID = {"meta", "img"}
BOUNDS = ("negative log-likelihood", "importance-weighted")
STEPS = ("--max-steps", "2", "--set", "layers=2")
TINY = ("--set", "layers=2", "--set", "hidden=8")


class Page(html.parser.HTMLParser):
    """What is on a page; closing tags must match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.links: list[str | None] = []
        self.places: list[str | None] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(found)
        self.links += [found["href"]] if "href" in found else []
        self.places += [found["id"]] if "id" in found else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(path: Path) -> str:
    """The text of a page that stands alone: each picture inside, with its size and a description, no dead link."""
    text = path.read_text()
    page = Page(text)
    assert path.stat().st_size < LARGEST
    assert "http" not in text and 'name="viewport"' in text and "prefers-color-scheme: dark" in text
    assert f"pushforward {pf.__version__}" in text
    assert {f"#{place}" for place in page.places} == set(page.links)
    for image in page.images:
        content = base64.b64decode(str(image["src"]).removeprefix("data:image/png;base64,"))
        with Image.open(io.BytesIO(content)) as picture:
            assert (str(picture.width), str(picture.height)) == (image["width"], image["height"])
        assert len(str(image["alt"])) > 20
    return text


def report_of(run: Path) -> str:
    assert run_command(["report", str(run), "-q"]) == 0
    return checked(run / "report.html")


def train(tmp_path: Path, *arguments: str) -> Path:
    assert run_command(["train", *arguments, "--out", str(tmp_path / "run"), "-q"]) == 0
    return tmp_path / "run"


def headings(text: str) -> list[str]:
    return re.findall(r"<h2 id='s\d+'>([^<]*)</h2>", text)


# The page


def test_what_is_said_is_never_markup(tmp_path: Path) -> None:
    picture = Picture.of_figure(Figure(), "a < b", 'the "quoted" description of it')
    told = '<script>"&'
    Report(told, told, [Section(told, told, [Table([told], [[told]], told), picture])], {told: told}).write(
        tmp_path / "page.html"
    )
    assert "<script" not in checked(tmp_path / "page.html")


def test_the_marginals_are_those_of_the_columns() -> None:
    data = np.random.default_rng(0).normal(size=(500, 2)) * [1, 5] + [0, 3]
    data[7, 1] = np.nan
    first, second, *_ = marginal_table(data, data + 1, ["a", "b"]).rows
    assert first[2:] == pytest.approx(
        [data[:, 0].mean(), data[:, 0].std(), *np.quantile(data[:, 0], [0.05, 0.5, 0.95])]
    )
    assert np.subtract(second[2:], first[2:]) == pytest.approx([1, 0, 1, 1, 1])
    assert marginal_table(data, data, ["a", "b"]).rows[2][2] == pytest.approx(np.nanmean(data[:, 1]))


def test_a_row_without_a_density_is_the_first_to_be_shown() -> None:
    rows = unlikely_rows([-1.0, np.nan, -np.inf], [["a"], ["b"], ["c"]], ["letter"]).rows
    assert [row[-1] for row in rows] == ["b", "c", "a"]


def test_the_least_likely_rows_come_first() -> None:
    scores = np.random.default_rng(0).permutation(30.0 * np.arange(30))
    rows = unlikely_rows(scores, [[index] for index in range(30)], ["place"]).rows
    assert [row[1] for row in rows] == sorted(scores)[:10] and all(row[0] == row[2] for row in rows)


def test_missing_values_and_days_are_told_in_words() -> None:
    day, unknown = pd.Timestamp("2024-02-29"), pd.NaT
    rows = unlikely_rows([-2.0, -1.0], [[day, np.nan, 1.5], [unknown, 2.0, None]], ["day", "a", "b"]).rows
    assert [row[2:] for row in rows] == [("2024-02-29", "missing", "1.5"), ("missing", "2", "missing")]
    seconds = pd.to_datetime(["2020-01-01", "2020-01-03"]).to_numpy("datetime64[s]").astype(float)[:, None]
    first, second = marginal_table(seconds, seconds * np.nan, ["day"], dates=["day"]).rows
    assert first[2:4] == ("2020-01-02", "1.0 days") and first[-1] == "2020-01-02" and set(second[2:]) == {"missing"}


def test_columns_of_numbers_end_below_each_other_and_words_begin_so() -> None:
    rows = [["run", 1.5, "1.2e-05", "missing"], ["2", -3, "1,234", "2021-01-02"]]
    table = Table(["word", "float", "text", "day"], rows).html()
    heads = re.findall(r'<th scope="col"( class="number")?>', table)
    assert [bool(head) for head in heads] == [False, True, True, True]
    assert table.count('<td class="number">') == 6


def test_a_curve_is_what_was_recorded_and_none_where_nothing_was(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.csv"
    assert training_curve(metrics) is None
    metrics.write_text("step,train_bits_per_dim,validation_bits_per_dim\n10,3.5,\n20,3.0,3.1\n30,2.5,2.9\n")
    figure = training_curve(metrics)
    assert figure is not None
    train, validation = (line.get_xydata().tolist() for line in figure.axes[0].lines)
    assert train == [[10, 3.5], [20, 3.0], [30, 2.5]] and validation == [[20, 3.1], [30, 2.9]]
    assert figure.axes[0].get_ylabel() == "bits/dim"


# The runs


def test_a_run_of_vectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(tmp_path, "nsf", "--data", "moons", "--max-steps", "2", "--set", "layers=1")
    text = report_of(run)
    sections = ["Score", "Columns", "Pairs of columns", "Calibration", "Unlikely rows", "Configuration"]
    assert [each for each in headings(text) if each != "Training"] == sections
    capsys.readouterr()
    assert run_command(["evaluate", str(run)]) == 0
    (score,) = re.findall(r"\d+\.\d{4} ± ", capsys.readouterr().out)
    assert score in text
    first = text
    assert report_of(run) == first, "the same seed gives the same page"


def test_a_run_of_a_table(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"height": random.normal(170, 8, 200), "sport": random.choice(["run", "swim"], 200)})
    frame.loc[::9, "height"] = np.nan
    frame.to_csv(tmp_path / "people.csv", index=False)
    text = report_of(train(tmp_path, "table", "--data", str(tmp_path / "people.csv"), "--max-steps", "2"))
    assert {"Score", "Columns", "Pairs of columns", "Calibration", "Unlikely rows"} <= set(headings(text))
    assert "categorical" in text and "Values of sport" in text and ">swim<" in text


def test_a_run_of_images_of_integers(tmp_path: Path) -> None:
    text = report_of(train(tmp_path, "coarse-to-fine", "--data", "digits", "--max-steps", "2", "--set", "hidden=[4]"))
    assert {"Score", "Samples", "Reconstructions", "Unlikely images", "Compression"} <= set(headings(text))
    assert "bits/dim" in text and "xz -9e" in text


def test_a_run_of_images_with_labels(tmp_path: Path) -> None:
    arguments = ("--data", "digits", "--context", "label", "--max-steps", "2", *TINY)
    text = report_of(train(tmp_path, "mnist-simple", *arguments))
    assert {"Score", "Samples", "Reconstructions", "Unlikely images"} <= set(headings(text))
    assert "upper bound" in text
    one, several = (float(re.findall(f">{name}</td><td>(\\d+\\.\\d+) ±", text)[0]) for name in BOUNDS)
    assert several < one, "importance weighting tightens"


def test_a_run_of_graphs(tmp_path: Path) -> None:
    graphs = pf.data.toys.graphs.coloured_graphs(200, generator=torch.Generator().manual_seed(0))
    np.save(tmp_path / "graphs.npy", graphs.numpy().astype(np.uint8))
    arguments = ("--data", str(tmp_path / "graphs.npy"), "--levels", "3", "--set", "hidden=8", *STEPS)
    text = report_of(train(tmp_path, "graph-cnf", *arguments))
    assert {"Score", "Nodes and edges", "Unlikely graphs"} <= set(headings(text))
    assert "importance-weighted" in text and "type of edge" in text


def test_a_page_that_is_no_report_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "notes.html"
    page.write_text("<p>mine")
    assert run_command(["report", str(tmp_path), "-o", str(page)]) == 2
    assert "is no report of pushforward" in capsys.readouterr().err and page.read_text() == "<p>mine"
    Report("", "", []).write(page)
    refuse_other_page(page)


def test_a_folder_without_a_run_is_one_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["report", str(tmp_path)]) == 1
    assert "no run there" in capsys.readouterr().err
    assert run_command(["report", str(tmp_path), "-o", "page.pdf"]) == 2
    assert ".html" in capsys.readouterr().err
