"""The core needs torch, numpy and safetensors; every other package belongs to an extra, and is asked for by name."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

import pushforward as pf
from pushforward.errors import MissingExtraError, PushforwardError
from pushforward.extras import requires

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "pushforward"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
IMPORTED_AS = {"pillow": "PIL", "scikit-learn": "sklearn", "import-linter": "importlinter"}

# The extras that a room may ask for; a room that is not here is the core. The demo's report has figures of its own.
ROOMS = {
    "distributions": ["vines"],
    "training": ["train"],
    "data": ["data", "molecules"],
    "tables": ["tables"],
    "sklearn": ["tables"],
    "partitions": ["cluster"],
    "inference": ["inference"],
    "codec": ["codec"],
    "diagnostics": ["diagnostics"],
    "exporting": ["onnx"],
    "playground": ["play"],
    "plots": ["plots"],
    "reports": ["plots"],
    "cli": ["cli", "cluster", "plots", "tables"],
}

# Python as it would be without these packages: nobody finds them.
WITHOUT = """
import sys

MISSING = sys.argv[1].split(",")

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *where):
        return None if name.partition(".")[0] in MISSING else self.finder.find_spec(name, *where)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = map(Without, sys.meta_path)
"""

CORE = """
import torch
import pushforward as pf

x = pf.data.toy("moons").sample(16)
flow = pf.build("nsf", features=2).eval()
again = (pf.save(flow, sys.argv[2]), pf.load(sys.argv[2]))[1]
assert torch.equal(again.log_prob(x), flow.log_prob(x))
assert again.sample(3).shape == (3, 2)
layer = pf.transforms.Elementwise(pf.scalar.Affine(), (2,))
assert pf.Flow([layer], pf.distributions.StandardNormal((2,))).log_prob(x).shape == (16,)
"""

LAWS = "pf.testing.check_transform(layer, x)"


def packages(*names: str) -> set[str]:
    """What the extras of these names install, by the names of their imports."""
    found: set[str] = set()
    for requirement in (each for name in names for each in EXTRAS[name]):
        own = re.fullmatch(r"pushforward\[(.*)\]", requirement)
        found |= packages(*own[1].split(",")) if own else imported_as([requirement])
    return found


def imported_as(requirements: list[str]) -> set[str]:
    """The import names of requirements, without those that are extras of this project."""
    names = {re.split(r"[<>=\[ ]", each)[0] for each in requirements if not each.startswith("pushforward[")}
    return {IMPORTED_AS.get(name, name) for name in names}


def imports(paths: Iterable[Path]) -> set[str]:
    """The packages that sources import, wherever in the file, without this one and Python's own."""
    found: set[str] = set()
    for node in (node for path in paths for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    # Torch's writer is a shell around the package.
    names = {"tensorboard" if name == "torch.utils.tensorboard" else name.partition(".")[0] for name in found}
    return names - {"pushforward", *sys.stdlib_module_names}


def sources(room: str) -> list[Path]:
    """The files of a room, which is a folder or one file."""
    return [*SOURCE.glob(f"{room}.py"), *(SOURCE / room).rglob("*.py")]


def run(code: str, missing: set[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT + code, ",".join(sorted(missing)), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_core_works_where_no_extra_is_installed(tmp_path: Path) -> None:
    missing = packages("all")
    assert {"lightning", "pandas", "sklearn", "scipy", "matplotlib", "constriction", "typer"} <= missing
    done = run(CORE + LAWS, missing, str(tmp_path / "flow.safetensors"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("room", sorted({path.stem for path in SOURCE.iterdir() if path.suffix in ("", ".py")}))
def test_a_room_imports_what_is_declared_for_it(room: str) -> None:
    assert imports(sources(room)) <= imported_as(PROJECT["dependencies"]) | packages(*ROOMS.get(room, ()))


@pytest.mark.parametrize("name", [name for name in EXTRAS if name not in ("all", "test", "docs", "benchmark")])
def test_an_extra_declares_nothing_that_its_rooms_do_not_import(name: str) -> None:
    used = set().union(*(imports(sources(room)) for room, extras in ROOMS.items() if name in extras))
    assert imported_as(EXTRAS[name]) <= used
    assert imported_as(EXTRAS[name]) <= packages("all")


def test_everything_that_the_suite_imports_is_in_the_extra_for_tests() -> None:
    files = list((ROOT / "tests").glob("*.py"))
    here = {path.stem for path in [*files, *(ROOT / "docs" / "extensions").glob("*.py")]}
    assert imports(files) - here <= imported_as(PROJECT["dependencies"]) | packages("test")


def test_a_missing_extra_is_one_sentence_with_what_to_do() -> None:
    sentence = r"pictures needs pillow, which is not installed: pip install 'pushforward\[codec\]'"
    with pytest.raises(MissingExtraError, match=f"^{sentence}$") as raised, requires("codec", purpose="pictures"):
        raise ModuleNotFoundError("No module named 'PIL.Image'", name="PIL.Image")
    assert isinstance(raised.value, PushforwardError)
    assert isinstance(raised.value, ImportError)


def test_a_bug_in_an_import_of_our_own_is_not_told_as_a_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"pushforward\.nowhere"), requires("codec", purpose="pictures"):
        __import__("pushforward.nowhere")


def test_the_command_without_its_packages_says_what_to_install() -> None:
    done = run("from pushforward.__main__ import main; sys.argv = ['pushforward', '--help']; main()", packages("cli"))
    sentence = "pushforward: the command line needs typer, which is not installed: pip install 'pushforward[cli]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)


def test_the_command_is_the_module_run_as_a_program() -> None:
    assert PROJECT["scripts"] == {"pushforward": "pushforward.__main__:main"}
    done = subprocess.run([sys.executable, "-m", "pushforward", "models"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "nsf" in done.stdout


def test_the_import_alone_does_not_wait_for_torch() -> None:
    done = run("import pushforward\nassert 'torch' not in sys.modules", set())
    assert done.returncode == 0, done.stderr


def test_a_flow_is_built_and_used_without_importing_what_extras_bring(tmp_path: Path) -> None:
    heavy = packages("all") | {"torch._dynamo"}
    check = f"\nassert not {heavy!r} & set(sys.modules), sorted({heavy!r} & set(sys.modules))"
    done = run(CORE + check, set(), str(tmp_path / "flow"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", pf.__all__)
def test_every_public_name_comes_at_its_first_use(name: str) -> None:
    assert getattr(pf, name) is not None
    assert name in dir(pf)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nowhere"):
        _ = pf.nowhere


def test_the_types_are_published() -> None:
    assert (SOURCE / "py.typed").exists()


ENTRIES = """
import torch
import pushforward as pf
from pushforward.codec.archive import general
from pushforward.codec.entropy import AnsCoder, Table
from pushforward.data.export import write_events
from pushforward.data.pictures import read_picture
from pushforward.plots.pictures import image_grid

flow, x, table = pf.build("nsf", features=2), torch.randn(8, 2), sys.argv[2]
open(table, "w").write("1,2\\n")
ENTRIES = [
    lambda: pf.fit(flow, x, max_steps=1),
    lambda: pf.sklearn.FlowDensity,
    lambda: pf.partitions.score,
    lambda: pf.data.load_digits(),
    lambda: pf.data.load_table(table),
    lambda: write_events("nowhere.csv", x),
    lambda: read_picture("nowhere.png"),
    lambda: general.encode(b"a"),
    lambda: AnsCoder(),
    lambda: Table([1, 2]),
    lambda: image_grid(torch.zeros(1, 1, 2, 2), "nowhere.png"),
    lambda: pf.plots.flow_2d(flow, x),
]
for entry in ENTRIES:
    try:
        entry()
    except pf.errors.MissingExtraError as error:
        print(str(error).replace(", which is not installed: pip install 'pushforward", "").rstrip("]'"))
"""

TOLD = """\
fit needs lightning[train
pushforward.sklearn needs scikit-learn[tables
pushforward.partitions needs pandas[cluster
reading the digits needs scikit-learn[data
a .csv table needs pandas[data
a .csv table needs pandas[data
reading a picture needs pillow[data
the general coder needs zstandard[codec
entropy coding needs constriction[codec
entropy coding needs constriction[codec
a grid of pictures needs pillow[plots
a figure needs matplotlib[plots
"""


def test_every_entry_to_an_extra_says_which_one_is_missing(tmp_path: Path) -> None:
    done = run(ENTRIES, packages("all"), str(tmp_path / "table.csv"))
    assert (done.stdout, done.returncode) == (TOLD, 0), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


ALONE = """
from pathlib import Path
import torch
import pushforward as pf
from pushforward.cli.terminal import print_table
from pushforward.data.export import write_events
from pushforward.errors import MissingExtraError
from pushforward.training.progress import ProgressLine
from pushforward.training.recorder import Recorder
from pushforward.training.units import Unit

folder = Path(sys.argv[2])
ENTRIES = [
    lambda: write_events(folder / "a.parquet", torch.zeros(2, 2)),
    lambda: Recorder(folder, Unit("nats")).start([]),
    lambda: ProgressLine(Unit("nats"), visible=True, seconds=30).start(0.0),
    lambda: pf.plots.calibration([0.1, 0.5, 0.9]),
    lambda: pf.plots.corner(torch.randn(50, 2), torch.randn(50, 2)),
    lambda: print_table(["a"], []),
]
for entry in ENTRIES:
    try:
        entry()
    except MissingExtraError as error:
        print(str(error).split(",")[0])
"""


ALONE_TOLD = """\
a .parquet table needs pyarrow
the record of a training needs tensorboard
the progress bar needs rich
the band of chance needs scipy
a smoothed histogram needs scipy
a table on the terminal needs rich
"""


def test_a_package_that_is_missing_alone_is_the_one_named(tmp_path: Path) -> None:
    done = run(ALONE, {"pyarrow", "tensorboard", "scipy", "rich"}, str(tmp_path))
    assert done.stdout == ALONE_TOLD, done.stderr
