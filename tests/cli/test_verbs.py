"""Errors advise the command that the user ran."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from unvanish.cli import app

TWO = """
from torch import nn

class First(nn.Linear):
    def __init__(self):
        super().__init__(2, 2)

class Second(First):
    pass
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "two.py").write_text(TWO)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("verb", ["check", "fix", "cure", "jacobian"])
@pytest.mark.parametrize(
    ("target", "advice"),
    [
        ("tow.py", "two.py"),
        ("two.py", "two.py:First"),
        ("net.txt", "file.py[:name], package.module[:name] or zoo:NAME"),
        ("zoo:deep_sigmoyd", "zoo:deep_sigmoid"),
    ],
)
def test_the_running_command_is_advised(verb: str, target: str, advice: str) -> None:
    result = CliRunner().invoke(app, [verb, target])
    assert result.exit_code == 2
    assert f"unvanish {verb} {advice}" in result.stderr


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize("verb", ["check", "fix", "cure", "jacobian"])
def test_what_is_advised_can_be_run(verb: str) -> None:
    result = CliRunner().invoke(app, [verb, "two.py:First", "--device", "cpux"])
    assert f"unvanish {verb} two.py:First --device cpu" in result.stderr
    for name in ("--device", "--input-shape", "--classes"):
        assert any(name in option.opts for option in app.commands[verb].params)
