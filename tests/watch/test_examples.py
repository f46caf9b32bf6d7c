"""What the documentation shows of a watched run is what a new user sees."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def shown() -> str:
    """The block of docs/watch.md, without the command."""
    page = (ROOT / "docs" / "watch.md").read_text(encoding="utf-8")
    found = re.search(r"\$ unvanish run examples/watching/spike\.py\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


def seen(folder: Path) -> str:
    """What stands on stderr, from the header to the rules that found nothing."""
    (folder / "examples").symlink_to(ROOT / "examples")
    settings = {"COLUMNS": "80", "NO_COLOR": "1", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "unvanish", "run", "examples/watching/spike.py"],
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    begin, end = done.stderr.index("unvanish 0."), done.stderr.index("\nlearn ")
    return done.stderr[begin:end]


def words(text: str) -> list[str]:
    """All words; numbers that depend on the processor are a mark, steps and rates are not."""
    rounded = re.sub(r"\d+(?:\.\d+)? (?:%|m?s)(?=\s|$)|[▁▂▃▄▅▆▇█]+|-\d\.\d|\d+\.\d+", "#", text)
    return rounded.split()


@pytest.mark.slow
def test_the_run_that_sickens(tmp_path):
    run = seen(tmp_path)
    assert words(run) == words(shown())
    assert "error[UV611]: the learning rate was raised from 0.001 to 0.1" in run
    assert "began at step 300 (last sound sample at step 250)" in run
    assert "step 301: the loss jumped" in run
