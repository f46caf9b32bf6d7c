"""One file of the user's: found by line, named by meaning, edited by splicing."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest

from unvanish.treat.patch.names import Names
from unvanish.treat.patch.overlay import overlaid
from unvanish.treat.patch.source import NoSafeEditError, Source

TEXT = '''"""A module."""

import torch.nn as nn
from torch.nn import functional as F


def f(x):
    y = F.relu(  # first
        x
    )
    return nn.Sequential(y, "ä")  # last
'''


def source(text: str = TEXT) -> Source:
    return Source(Path("net.py"), text)


def test_names_are_resolved() -> None:
    calls = source().nodes(ast.Call)
    assert [source().meaning(c.func) for c in calls] == [
        "torch.nn.functional.relu",
        "torch.nn.Sequential",
    ]


def test_names_that_come_with_a_star_are_torchs_unless_they_are_ones_own() -> None:
    text = """from torch.nn import *


class Tanh(Module):
    pass


net = Sequential(Linear(2, 2), Tanh())
"""
    tree = ast.parse(text)
    names = Names(tree)
    calls = [names.meaning(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)]
    assert calls == ["torch.nn.Sequential", "torch.nn.Linear", "Tanh"]


def test_names_are_spelt_in_the_files_own_style() -> None:
    mine = source()
    assert mine.spell("torch.nn.functional.gelu") == "F.gelu"
    assert mine.spell("torch.nn.Linear") == "nn.Linear"
    assert mine.spell("torch.relu") == "torch.relu"
    mine.replace(mine.nodes(ast.Call)[0], "torch.relu(x)")
    assert "import torch\n" in mine.edit().after


def test_everything_else_stays_to_the_letter() -> None:
    mine = source()
    call = mine.nodes(ast.Call, 11)[0]
    mine.replace(call, 'nn.Identity("ö")')
    assert mine.edit().after == TEXT.replace('nn.Sequential(y, "ä")', 'nn.Identity("ö")')


def test_two_edits_of_one_expression_are_refused() -> None:
    mine = source()
    call = mine.nodes(ast.Call)[0]
    mine.replace(call, "x")
    mine.replace(call.func, "F.elu")
    with pytest.raises(NoSafeEditError, match="same expression"):
        mine.edit()


def test_the_same_edit_twice_is_one() -> None:
    mine = source()
    call = mine.nodes(ast.Call)[0]
    mine.replace(call, "x")
    mine.replace(call, "x")
    assert "y = x\n" in mine.edit().after


def test_a_result_that_is_no_python_is_refused() -> None:
    mine = source()
    mine.replace(mine.nodes(ast.Call)[0], "x +")
    with pytest.raises(NoSafeEditError, match="no Python"):
        mine.edit()


def test_statements_are_added_with_their_indentation() -> None:
    mine = source()
    mine.add_lines(mine.nodes(ast.Assign)[0], ["for z in y:", "    print(z)"])
    assert "    )\n    for z in y:\n        print(z)\n    return" in mine.edit().after


def test_line_ends_and_tabs_stay_those_of_the_file() -> None:
    mine = source("def f(x):\r\n\ty = x\r\n\treturn y\r\n")
    mine.add_lines(mine.nodes(ast.Assign)[0], ["for z in y:", "    print(z)"])
    after = mine.edit().after
    assert after == "def f(x):\r\n\ty = x\r\n\tfor z in y:\r\n\t\tprint(z)\r\n\treturn y\r\n"


def test_a_library_is_not_edited() -> None:
    with pytest.raises(NoSafeEditError, match="belongs to an installed library"):
        Source.of(pytest.__file__)


def test_a_file_that_is_gone_is_not_edited(tmp_path: Path) -> None:
    with pytest.raises(NoSafeEditError, match="cannot be read"):
        Source.of(str(tmp_path / "gone.py"))


def test_other_text_is_imported_and_no_file_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "overlaid_module.py"
    file.write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with overlaid({file: "value = 2\n"}):
        assert importlib.import_module("overlaid_module").value == 2
    del sys.modules["overlaid_module"]
    assert importlib.import_module("overlaid_module").value == 1
    assert file.read_text() == "value = 1\n"
    del sys.modules["overlaid_module"]
