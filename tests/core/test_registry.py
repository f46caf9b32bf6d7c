"""Plug-ins: found, broken ones set aside, duplicates refused."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from unvanish.core import registry
from unvanish.core.errors import UnvanishError
from unvanish.core.protocols import Rule
from unvanish.core.registry import Collected, collect, lacking
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose.rules.saturated import SaturatedActivation

GROUP = "unvanish.rules"


class SlowStart:
    code = "AC101"
    name = "slow-start"
    needs = frozenset()
    sources = ()

    def examine(self, recording):  # noqa: ARG002
        return NotApplicable("an example")


class Twin(SlowStart):
    code = "UV201"


class Half:
    code = "AC102"


class Explodes:
    def __init__(self):
        raise RuntimeError("no licence file")


@pytest.fixture
def installed(monkeypatch):
    """Install plug-ins under names that lead to the classes above."""

    def install(**points: object) -> None:
        module = ModuleType("acme_rules")
        for name, thing in points.items():
            setattr(module, name, thing)
        monkeypatch.setitem(__import__("sys").modules, "acme_rules", module)
        found = [EntryPoint(name, f"acme_rules:{name}", GROUP) for name in points]
        monkeypatch.setattr(registry, "entry_points", lambda group: found if group == GROUP else [])

    return install


def gather() -> Collected[Rule]:
    return collect([SaturatedActivation()], group=GROUP, protocol=Rule, key=lambda rule: rule.code)


@pytest.mark.parametrize("thing", [SlowStart, SlowStart()], ids=["class", "instance"])
def test_a_plug_in_stands_beside_the_built_in_rules(installed, thing):
    installed(AC101=thing)
    found = gather()
    assert [rule.code for rule in found.members] == ["UV201", "AC101"]
    assert not found.broken


def test_without_plug_ins_only_the_built_in_rules(installed):
    installed()
    assert [rule.code for rule in gather().members] == ["UV201"]


def test_a_duplicate_code_is_refused_and_both_owners_are_named(installed):
    installed(UV201=Twin)
    with pytest.raises(
        UnvanishError, match=r"UV201 is claimed twice: by unvanish and by a plug-in"
    ):
        gather()


def test_broken_plug_ins_are_set_aside_with_one_clear_message(installed, monkeypatch):
    installed(good=SlowStart, half=Half, raises=Explodes)
    points = [*registry.entry_points(group=GROUP), EntryPoint("gone", "acme_gone:Rule", GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda **_: points)
    found = gather()
    assert [rule.code for rule in found.members] == ["UV201", "AC101"]
    assert set(found.broken) == {"half", "raises", "gone"}
    assert (
        found.broken["half"].what == "a plug-in is no rule: it lacks examine, name, needs, sources"
    )
    assert "RuntimeError: no licence file" in found.broken["raises"].what
    assert "No module named 'acme_gone'" in found.broken["gone"].what
    assert "'gone'" in found.broken["gone"].where


def test_lacking_names_every_attribute_of_the_protocol():
    assert lacking(object(), Rule) == ("code", "examine", "name", "needs", "sources")
    assert lacking(SaturatedActivation(), Rule) == ()
