"""The JSON document: strict, stable, complete, documented."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from tests.show import cures
from tests.show.fixtures import CASES, sick
from tests.show.parts import context, diagnosis, vanishing

from unvanish.core.counterfactuals import Counterfactual
from unvanish.core.explanations import Explanation, Level, Term
from unvanish.core.findings import Cause
from unvanish.core.packing import plain
from unvanish.core.prescriptions import Advice, Outlook
from unvanish.core.records import Recording
from unvanish.core.verdicts import Clear, Found
from unvanish.fixing import Fix
from unvanish.show.cure_json import cure_json
from unvanish.show.json import dumps, explanation_json, to_json

DOCS = Path(__file__).parents[2] / "docs" / "json.md"


def document(name: str) -> dict[str, Any]:
    recording, found, target = CASES[name]()
    return to_json(recording, found, target=target)


def refuse(word: str) -> float:
    raise AssertionError(f"{word} is not JSON")


@pytest.mark.parametrize("name", CASES)
def test_the_document_is_strict_json_and_survives_the_round_trip(name: str) -> None:
    made = document(name)
    text = dumps(made)
    assert text.isascii()
    assert json.loads(text, parse_constant=refuse) == made


@pytest.mark.parametrize("name", ["sick", "not_measured", "zero_gradient"])
def test_golden(name: str, golden: Callable[[str, str], None]) -> None:
    made = document(name)
    for finding in made["findings"]:
        finding["sites"] = finding["sites"][:2]
    golden(f"{name}.json", dumps(made))


def test_keys_stand_in_one_order() -> None:
    made = document("sick")
    assert list(made) == [
        "schema", "target", "worst", "verdicts", "findings", "details", "gaps", "context",
    ]  # fmt: skip
    assert list(made["findings"][0]) == [
        "code", "name", "severity", "message", "sites", "measured", "expected", "limit", "unit",
        "causes", "notes", "help", "parameters", "root",
    ]  # fmt: skip
    assert list(made["findings"][0]["sites"][0]) == [
        "path", "op", "source", "built", "call", "depth", "index",
    ]  # fmt: skip


def test_numbers_that_json_cannot_hold() -> None:
    finding = vanishing(None, (), measured=math.inf, expected=-math.inf, limit=math.nan)
    found = diagnosis(UV101=Found((finding,)), UV102=Clear())
    made = to_json(Recording(context=context(loss_value=math.nan)), found, target="x")
    assert made["findings"][0]["measured"] == "inf"
    assert made["findings"][0]["expected"] == "-inf"
    assert made["findings"][0]["limit"] is None
    assert made["details"]["UV102"]["margin"] == "inf"
    assert made["context"]["loss_value"] is None


def test_verdicts_and_details_cover_every_rule() -> None:
    made = document("not_measured")
    assert made["worst"] == "not-measured"
    assert made["verdicts"]["UV101"] == "not-measured"
    assert made["verdicts"]["UV102"] == "clear"
    assert made["verdicts"]["UV201"] == "not-applicable"
    assert list(made["details"]) == list(made["verdicts"])
    assert "cuDNN" in made["details"]["UV101"]["missing"]
    assert made["details"]["UV201"]["reason"]
    assert made["details"]["UV102"]["margin"] == 2.9
    assert made["gaps"][0]["site"] is None


def test_a_site_without_source_is_null() -> None:
    assert document("no_source_lines")["findings"][0]["sites"][0]["source"] is None


def test_causes_are_words_of_the_vocabulary() -> None:
    made = document("sick")
    assert set(made["findings"][0]["causes"]) <= {cause.value for cause in Cause}


def keys(value: Any) -> set[str]:
    """Every key of the schema; codes, versions and class names are data."""
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if not isinstance(value, dict):
        return set()
    free = ("verdicts", "modules", "versions")
    own = set() if any(re.fullmatch(r"UV\d+", key) for key in value) else set(value)
    return own.union(*(keys(inner) for key, inner in value.items() if key not in free))


def test_every_field_is_documented_and_every_documented_field_exists() -> None:
    text = DOCS.read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| (?:`[a-z-]+` \| )?`([a-z_]+)` \|", text, re.MULTILINE))
    made = keys(document("sick")) | keys(document("not_measured")) | {"what", "where", "help"}
    ledger = Term(level=Level.NETWORK, name="net", log10_gain=0.0)
    explanation = Explanation(target=0, name="net", ledger=ledger)
    made |= set(explanation_json(explanation, Recording(), full=True)) - {"target", "site"}
    swapped = Counterfactual(mechanism="slope-cap").to_json()
    made |= set(swapped)
    made |= {"advice", *plain(Advice(before=Outlook()))}
    made |= set(cure_json(cures.cure(), before=sick()[1]))
    made |= {field.name for field in fields(Fix)} - {"recording", "diagnosis"} | {"schema"}
    settings = set(document("sick")["context"]["optimizer_settings"])
    assert made - settings | {"name"} == documented
    assert all(f"`{name}`" in text for name in settings)


def test_the_example_of_the_documentation_parses() -> None:
    block = re.search(r"```json\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    example = json.loads(block[1])
    made = document("sick")
    assert list(example) == list(made)
    assert list(example["findings"][0]) == list(made["findings"][0])
