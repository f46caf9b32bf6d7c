"""The scripts in examples/ run, and are checked as they are."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from unvanish.cli import app

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    "words",
    [
        ["recipe_minimal.py"],
        ["tiny_gpt.py"],
        ["train_digits.py:Net", "--input-shape", "64", "--classes", "10"],
        ["train_digits.py", "--input-shape", "64"],
    ],
)
def test_example_is_checked_without_a_change(words, monkeypatch):
    monkeypatch.chdir(EXAMPLES)
    result = CliRunner().invoke(app, ["check", *words])
    assert result.exit_code == 0, result.output
    assert "0 errors, 0 warnings" in result.stdout


@pytest.mark.parametrize(
    "words", [["recipe_minimal.py"], ["tiny_gpt.py"], ["train_digits.py", "--epochs", "1"]]
)
def test_example_runs_as_a_script(words):
    result = subprocess.run(
        [sys.executable, *words], cwd=EXAMPLES, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    assert "loss" in result.stdout
