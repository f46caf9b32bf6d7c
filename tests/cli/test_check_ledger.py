"""The ledger on the command line: by default under its finding, in full, or not at all."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from unvanish.api import Report
from unvanish.cli import app

SICK = "docs/examples/net.py"
HEALTHY = "docs/examples/healthy.py"


def run(*words: str, code: int = 1) -> str:
    result = CliRunner().invoke(app, [*words])
    assert result.exit_code == code, result.output
    return result.stdout


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("saved") / "net.json"
    run("check", SICK, "--output", str(path))
    return str(path)


def lines_of_block(text: str) -> list[str]:
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(" ledger: "))
    return lines[start : next(i for i in range(start, len(lines)) if "   note:" in lines[i])]


def test_a_few_lines_stand_under_the_finding(saved: str) -> None:
    text = run("show", saved)
    block = lines_of_block(text)
    assert 5 <= len(block) <= 12
    assert any("slope cap" in line and "16 sigmoid, x0.25 each" in line for line in block)
    assert any("15 x (linear, sigmoid) -0.8" in line for line in block)
    assert any(line.startswith(" theory: -13.7 ±") for line in block)
    assert text.index(" ledger: ") < text.index("   help: ") < text.index("found nothing")


def test_the_rows_add_up_to_what_the_head_says(saved: str) -> None:
    head, *rows = lines_of_block(run("show", saved))
    numbers = [float(row[29:37]) for row in rows if row.startswith(" " * 11)]
    assert sum(numbers) == pytest.approx(float(head.split(", ")[1].split()[0]), abs=0.02)


def test_nothing_is_said_twice(saved: str) -> None:
    text = run("show", saved)
    assert text.count("x0.25 each") == 1
    assert "decades lost, sigmoid took" not in text


def test_it_can_be_left_out(saved: str) -> None:
    text = run("show", saved, "--explain", "none")
    assert "ledger" not in text
    assert " theory:" not in text
    assert "explanation" not in json.loads(
        run("show", saved, "--explain", "none", "--format", "json")
    )


def test_the_whole_tree_folds_equal_blocks_and_says_how_far_they_differ(saved: str) -> None:
    full = run("show", saved, "--explain", "full")
    tree = full.partition("\nledger  ")[2]
    assert "15 x layers.1 to layers.15 (linear, sigmoid): -0.85 each, from -0.8" in tree
    assert tree.count("sigmoid  docs/examples/net.py:17") <= 3
    verbose = run("show", saved, "--explain", "full", "-v").partition("\nledger  ")[2]
    assert verbose.count("sigmoid  docs/examples/net.py:17") == 16


@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("width", [48, 60, 80, 96])
@pytest.mark.parametrize("level", ["brief", "full"])
def test_no_line_is_too_wide(saved: str, width: int, level: str, *, ascii: bool) -> None:
    text = Report.load(saved).text(width=width, explain=level, ascii=ascii, exit_code=1)
    assert " ledger: " in text
    assert text.isascii() is ascii
    for line in text.splitlines():
        assert cell_len(line) <= width
        assert line == line.rstrip()


def test_colour_adds_nothing_but_colour(saved: str) -> None:
    report = Report.load(saved)
    coloured = report.text(explain="full", color=True)
    assert coloured != report.text(explain="full")
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == report.text(explain="full")


def test_a_clear_network_has_no_ledger_unless_it_is_asked_for() -> None:
    assert "ledger" not in run("check", HEALTHY, code=0)
    full = run("check", HEALTHY, "--explain", "full", code=0)
    assert "\nledger  from the loss to layers.0 linear" in full
    assert "  sum" in full


def test_json_holds_blocks_and_on_request_everything_below_them(saved: str) -> None:
    brief = json.loads(run("show", saved, "--format", "json"))["explanation"]
    assert brief["code"] == "UV101"
    assert brief["by_factor"]["slope cap"] == pytest.approx(-9.63, abs=0.01)
    blocks = brief["ledger"]["children"]
    assert all("children" not in block and block["by_factor"] for block in blocks)
    places = {place["index"]: place for place in brief["places"]}
    assert {i for block in blocks for i in block["sites"]} <= places.keys()
    assert places[brief["site"]]["source"].startswith("docs/examples/net.py")
    full = json.loads(run("show", saved, "--format", "json", "--explain", "full"))["explanation"]
    assert full["ledger"]["children"][0]["children"]
    assert full["by_factor"] == brief["by_factor"]


def test_the_ledger_of_a_layer_of_ones_choice(saved: str) -> None:
    text = run("show", saved, "--layer", "layers.12")
    assert "ledger  from the loss to layers.12 linear" in " ".join(text.split("\n"))
    document = json.loads(run("show", saved, "--layer", "layers.12", "--format", "json"))
    assert document["explanation"]["target"].startswith("layers.12")
    assert "children" in document["explanation"]["ledger"]
    result = CliRunner().invoke(app, ["show", saved, "--layer", "layers.99"])
    assert result.exit_code == 2
    assert "nearest: layers." in result.stderr


def test_in_full_every_layer_stands_beside_theory(saved: str) -> None:
    text = run("show", saved, "--explain", "full", "-v")
    start = text.index("profile: layer")
    rows = re.findall(
        r"^ {9}layers\.\d+ linear +(-[\d.]+) +(-[\d.]+) ± ([\d.]+)", text[start:], re.M
    )
    assert len(rows) == 16
    for measured, predicted, band in (map(float, row) for row in rows):
        assert abs(measured - predicted) <= band
    assert "one layer in 2; -v writes all" in run("show", saved, "--explain", "full")
