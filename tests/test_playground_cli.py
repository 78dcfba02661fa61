"""The playground on the command line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from playground_client import request

from pushforward.cli.main import run


def test_it_prints_its_address_serves_and_ends_by_ctrl_c() -> None:
    command = [sys.executable, "-m", "pushforward", "play", "--no-open"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        # A shell has what it starts in the background ignore Ctrl-C, and so this test's children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            token = address.removesuffix("/").rpartition("/")[2]
            assert address.startswith("http://127.0.0.1:") and len(token) >= 32
            assert request(address)[0] == 200
            assert request(address, path="/")[0] == 403
            process.send_signal(signal.SIGINT)
            _, complaints = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Ctrl-C closes it" in complaints and "Traceback" not in complaints
    assert token not in complaints


def test_a_port_that_is_taken_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["play", "--no-open", "--port", str(port)]) != 0
    assert f"cannot serve on port {port}" in capsys.readouterr().err


def test_without_the_extra_one_is_told_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "websockets", None)
    assert run(["play", "--no-open"]) != 0
    assert "pip install 'pushforward[play]'" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["play", "--no-open", str(tmp_path)]) != 0
    assert "no run there" in capsys.readouterr().err


def test_a_page_without_a_server_needs_its_runtime(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["play-site", str(tmp_path / "out"), "--runtime", str(tmp_path / "none.tgz")]) != 0
    assert "npm pack onnxruntime-web" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
