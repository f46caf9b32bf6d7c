"""`unvanish explain`: pages and the list."""

import pytest
from click.testing import CliRunner

from unvanish.cli import app
from unvanish.diagnose.rules import BUILTIN_RULES
from unvanish.treat.remedies import BUILTIN_REMEDIES


def run(*args):
    return CliRunner().invoke(app, args)


@pytest.mark.parametrize("rule", BUILTIN_RULES, ids=lambda rule: rule.code)
def test_every_rule_has_a_page_by_code_and_by_name(rule):
    by_code, by_name = run("explain", rule.code.lower()), run("explain", rule.name.upper())
    assert by_code.exit_code == 0
    assert by_code.stdout == by_name.stdout
    assert rule.code in by_code.stdout
    assert "What it measures" in by_code.stdout


def test_without_a_code_all_rules_are_listed():
    result = run("explain")
    assert result.exit_code == 0
    for rule in BUILTIN_RULES:
        assert f"{rule.code}  {rule.name}" in result.stdout


def test_unknown_code_names_the_nearest():
    result = run("explain", "dead-unit")
    assert result.exit_code == 2
    assert "error: there is no rule or remedy 'dead-unit'" in result.stderr
    assert "help: unvanish explain UV202" in result.stderr


def test_nothing_near():
    assert "lists all rules" in run("explain", "qqqq").stderr


@pytest.mark.parametrize("remedy", BUILTIN_REMEDIES, ids=lambda remedy: remedy.name)
def test_every_remedy_has_a_card(remedy):
    result = run("explain", remedy.name.replace("-", "_").upper())
    assert result.exit_code == 0
    assert "When to use" in result.stdout


def test_all_remedies_are_listed():
    result = run("explain", "remedies")
    assert result.exit_code == 0
    for remedy in BUILTIN_REMEDIES:
        assert f"{remedy.name}  " in result.stdout


@pytest.mark.parametrize(
    ("remedy", "said"),
    [("he", "unvanish fix TARGET --remedy he --write"), ("kfac", "a call of unvanish")],
)
def test_a_card_says_whether_source_can_say_it(remedy, said):
    assert said in " ".join(run("explain", remedy).stdout.split())
