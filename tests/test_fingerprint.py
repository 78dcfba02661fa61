"""Data are known by their content, not by their name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pushforward.data import fingerprint as module
from pushforward.data.fingerprint import fingerprint, from_anywhere, place, present_fingerprint


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("a,b\n1,2\n")
    two.write_text("a,b\n1,2\n")
    os.utime(two, (0, 0))
    assert fingerprint(one) == fingerprint(two)
    two.write_text("a,b\n1,3\n")
    assert fingerprint(one) != fingerprint(two)


def test_a_folder_is_known_by_the_names_and_bytes_under_it(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        (folder / "cats").mkdir(parents=True)
        (folder / "cats" / "1.png").write_bytes(b"cat")
        (folder / "2.png").write_bytes(b"dog")
    one, two = folders
    (two / ".DS_Store").write_bytes(b"of the system")
    assert fingerprint(one) == fingerprint(two)
    (two / "2.png").rename(two / "3.png")
    assert fingerprint(one) != fingerprint(two)
    (two / "3.png").rename(two / "2.png")
    assert fingerprint(one) == fingerprint(two)
    (two / "cats" / "1.png").write_bytes(b"cow")
    assert fingerprint(one) != fingerprint(two)


def test_large_files_are_known_by_their_size_and_blocks_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WHOLE", 1000)
    monkeypatch.setattr(module, "_BLOCK", 10)
    path = tmp_path / "large.bin"
    content = bytearray(os.urandom(6400))
    path.write_bytes(content)
    before = fingerprint(path)
    for position in (0, 6399):
        changed = bytearray(content)
        changed[position] ^= 1
        path.write_bytes(changed)
        assert fingerprint(path) != before
    path.write_bytes(content + b"\0")
    assert fingerprint(path) != before
    path.write_bytes(content)
    assert fingerprint(path) == before


def test_where_a_line_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert from_anywhere("t.csv") == str(tmp_path / "t.csv")
    assert from_anywhere("mnist:sub/../mnist") == f"mnist:{tmp_path / 'mnist'}"
    assert from_anywhere("~/t.csv") == "/home/somebody/t.csv"
    assert from_anywhere("moons") == "moons" and place("digits") is None
    assert present_fingerprint("moons") is None and present_fingerprint("t.csv") is None
