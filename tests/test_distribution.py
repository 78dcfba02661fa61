"""What is handed out: archives that install and work elsewhere, the manual page, shell completion, quick starts."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest
import torch
import typer
from typer.main import get_command

import pushforward as pf
from pushforward.cli.main import app
from pushforward.cli.manual import manual
from pushforward.codec import export, save_portable
from pushforward.flows import saving
from pushforward.flows.saving import read_metadata
from pushforward.training.runs import RunFolder

ROOT = Path(__file__).parents[1]
# CPU seconds, which other work on the machine changes little.
IMPORT, HELP = 0.3, 0.5

BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])(sys.argv[2]))
"""

SMOKE = """
import sys
import torch
import pushforward as pf
assert pf.__file__.startswith(sys.prefix), pf.__file__
x = pf.data.toy("moons").sample(64)
flow = pf.models.nsf(features=2)
pf.fit(flow, x[:48], x[48:], max_steps=2, progress=False)
pf.save(flow, "flow.safetensors")
assert torch.equal(pf.load("flow.safetensors").log_prob(x), flow.log_prob(x))
assert len(pf.data.load_data("digits").train)
from importlib.metadata import metadata
from importlib.resources import files
assert metadata("pushforward")["Version"] == pf.__version__
assert (files("pushforward") / "py.typed").is_file()
assert any(path.name.endswith(".txt") for path in (files("pushforward") / "data" / "corpora").iterdir())
"""


def build(source: Path, kind: str, target: Path) -> Path:
    """Build an archive of a tree with what the environment has, without network."""
    command = [sys.executable, "-c", BUILD, kind, str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, env=outside())
    assert done.returncode == 0, done.stderr
    return target / done.stdout.splitlines()[-1]


def outside() -> dict[str, str]:
    """The environment variables without a way to this checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def fresh_environment(place: Path) -> Path:
    """A new environment that sees the packages of this one, but nothing that an editable install adds to them."""
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    beside = place / "lib" / version / "site-packages" / "beside.pth"
    beside.write_text(f"{sysconfig.get_path('purelib')}\n")
    return place / "bin"


@pytest.mark.slow
def test_the_archives_install_and_work_without_the_repository(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    with tarfile.open(build(source, "build_sdist", tmp_path)) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    wheel = build(unpacked, "build_wheel", tmp_path)
    programs = fresh_environment(tmp_path / "fresh")

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=outside())
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(str(programs / "pip"), "install", "--quiet", "--no-index", "--no-deps", "--ignore-installed", str(wheel))
    run(str(programs / "python"), "-c", SMOKE)
    assert run(str(programs / "pushforward"), "--version") == f"pushforward {pf.__version__}\n"
    run(str(programs / "pushforward"), "train", "nsf", "--data", "moons", "--max-steps", "2", "--out", "run", "-q")
    run(str(programs / "pushforward"), "report", "run", "-q")
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000


def cpu_seconds(*arguments: str) -> float:
    """What a run of Python takes, the second time, when its bytecode is compiled and its files are read."""
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_the_import_adds_little_to_that_of_torch() -> None:
    code = "import time, torch; t = time.process_time(); import pushforward; print(time.process_time() - t)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < IMPORT


def test_help_comes_at_once() -> None:
    assert cpu_seconds("-m", "pushforward", "--help") < HELP


def test_the_citation_is_of_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    facts = dict(re.findall(r"^([a-z-]+): +(\S.*)$", citation, re.MULTILINE))
    assert facts["version"] == pf.__version__ and facts["license"] == "MIT" and facts["cff-version"] == "1.2.0"
    assert {"message", "title"} <= set(facts) and "\nauthors:\n  - name: " in citation


def test_the_manual_tells_every_option_of_every_command() -> None:
    page = manual(app)
    assert "max\\-steps" in page, "the options of training, which the command makes when it is asked"
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        section = page.split(f"\n.SS pushforward {name.replace('-', chr(92) + '-')}")[1].split("\n.SS ")[0]
        options = command.get_params(typer.Context(command, info_name=name))
        for flag in (flag for option in options for flag in option.opts if flag.startswith("--")):
            assert flag.replace("-", "\\-") in section, (name, flag)


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_manual_is_set_without_a_warning(tmp_path: Path) -> None:
    page = tmp_path / "pushforward.1"
    page.write_text(manual(app))
    done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", "-P-cbou", str(page)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "export‐codec" in done.stdout or "export-codec" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_completes_commands(shell: str) -> None:
    words = {"COMP_WORDS": "pushforward eval", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "pushforward eval"}
    asked = {"_PUSHFORWARD_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run(
        [sys.executable, "-m", "pushforward"], capture_output=True, text=True, env={**os.environ, **words, **asked}
    )
    assert "evaluate" in done.stdout, done.stderr


def test_every_file_says_which_version_wrote_it(tmp_path: Path) -> None:
    pf.save(pf.models.nsf(features=2, layers=1), tmp_path / "flow")
    integers = pf.models.coarse_to_fine(shape=(1, 4, 4), levels=4, hidden=[4], blocks=1)
    save_portable(export(integers), tmp_path / "codec")
    for name in ("flow", "codec"):
        assert read_metadata(tmp_path / name)["written_by"] == pf.__version__
    pf.fit(pf.models.nsf(features=2, layers=1), torch.zeros(8, 2), max_steps=1, progress=False, out=tmp_path / "run")
    state = torch.load(tmp_path / "run" / "last.ckpt", weights_only=False)
    assert state["pushforward"]["written_by"] == pf.__version__
    RunFolder(tmp_path, {"model": "nsf"}).write_configuration()
    assert f'"written_by": "{pf.__version__}"' in (tmp_path / "config.json").read_text()


def test_a_file_of_another_version_of_the_same_format_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = pf.models.nsf(features=2, layers=1)
    monkeypatch.setattr(saving, "__version__", "9.9.9")
    pf.save(flow, tmp_path / "flow")
    monkeypatch.undo()
    assert torch.equal(pf.load(tmp_path / "flow").log_prob(torch.zeros(2)), flow.eval().log_prob(torch.zeros(2)))
