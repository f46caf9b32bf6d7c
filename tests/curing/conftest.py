"""One real cure, made once: batch normalisation in a small network of sigmoids."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.curing.networks import SOURCE

import unvanish
from unvanish.curing import Cured


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cured, Path]]:
    """A cure, and the folder it was made in."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "net.py").write_text(SOURCE)
    with contextlib.chdir(folder):
        yield (
            unvanish.cure(
                "net.py",
                remedy="batch-norm",
                budget="30steps",
                seeds=3,
                engine="inline",
                resume=False,
            ),
            folder,
        )


@pytest.fixture
def cured(made: tuple[Cured, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cured:
    """The cure, in a folder of its own that holds the network's file."""
    (tmp_path / "net.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return made[0]
