"""Bundles: one root is reported, and what follows from it stands below."""

from __future__ import annotations

import graphlib

import pytest

from unvanish.core.findings import Cause, Diagnosis, Finding, Severity
from unvanish.core.verdicts import Clear, Found, Verdict
from unvanish.diagnose.bundles import FOLLOWS, fold


def found(code: str, severity: Severity = Severity.ERROR, *causes: Cause) -> Found:
    return Found(
        (Finding(code=code, name=code, severity=severity, message="something", causes=causes),)
    )


def roots(*findings: Found) -> dict[str, str]:
    verdicts: dict[str, Verdict] = {f.findings[0].code: f for f in findings}
    return {f.code: f.root for f in Diagnosis(fold(verdicts)).findings}


def test_nothing_follows_from_itself_by_any_way() -> None:
    order = list(graphlib.TopologicalSorter(FOLLOWS).static_order())
    assert len(order) == len(set(order))


def test_a_circle_would_be_seen() -> None:
    circle = {**FOLLOWS, "UV502": frozenset({"UV101"})}
    with pytest.raises(graphlib.CycleError, match="cycle"):
        list(graphlib.TopologicalSorter(circle).static_order())


def test_a_dead_network_is_one_finding_with_three_consequences() -> None:
    assert roots(found("UV101"), found("UV103"), found("UV202"), found("UV502")) == {
        "UV202": "",
        "UV101": "UV202",
        "UV103": "UV202",
        "UV502": "UV202",
    }


def test_a_chain_ends_at_its_root() -> None:
    error, warning = Severity.ERROR, Severity.WARNING
    assert roots(
        found("UV503", warning, Cause.INPUT_SCALE),
        found("UV201", error, Cause.INPUT_SCALE),
        found("UV101", error, Cause.SATURATION),
    ) == {"UV503": "", "UV201": "UV503", "UV101": "UV503"}


def test_a_mild_finding_does_not_account_for_a_worse_one() -> None:
    assert roots(found("UV202", Severity.WARNING), found("UV101")) == {"UV101": "", "UV202": ""}


def test_unless_the_worse_one_names_it() -> None:
    mild = found("UV201", Severity.WARNING)
    assert roots(mild, found("UV101", Severity.ERROR, Cause.SATURATION))["UV101"] == "UV201"


def test_an_explosion_entails_a_learning_rate_that_is_too_large_for_it() -> None:
    explosion, rate = found("UV102", Severity.WARNING), found("UV404", Severity.ERROR)
    assert roots(explosion, rate)["UV404"] == "UV102"
    assert roots(found("UV102", Severity.NOTE), rate)["UV404"] == ""


def test_what_a_constant_output_brings_with_it() -> None:
    assert roots(found("UV204"), found("UV101")) == {"UV204": "", "UV101": "UV204"}
    assert roots(found("UV204", Severity.NOTE), found("UV101"))["UV101"] == ""


def test_equal_units_add_up_to_saturation() -> None:
    assert roots(found("UV104"), found("UV201")) == {"UV104": "", "UV201": "UV104"}
    scale = found("UV201", Severity.ERROR, Cause.INPUT_SCALE)
    assert roots(found("UV503", Severity.WARNING), found("UV104"), scale)["UV201"] == "UV503"


def test_unrelated_findings_stay_side_by_side() -> None:
    assert roots(found("UV101"), found("UV501")) == {"UV501": "", "UV101": "UV501"}
    assert roots(found("UV301"), found("UV501")) == {"UV301": "", "UV501": ""}


def test_folding_changes_nothing_else() -> None:
    verdicts: dict[str, Verdict] = {
        "UV101": found("UV101"),
        "UV102": Clear(1.0, "decades", "fine"),
        "UV502": found("UV502", Severity.WARNING),
    }
    folded = fold(verdicts)
    assert list(folded) == list(verdicts)
    assert folded["UV102"] is verdicts["UV102"]
    diagnosis = Diagnosis(folded)
    assert [f.code for f in diagnosis.findings] == ["UV101", "UV502"]
    assert [f.code for f in diagnosis.roots] == ["UV101"]
    assert diagnosis.worst == "error"


def test_the_worst_severity_counts_even_below_a_milder_root() -> None:
    verdicts = {
        "UV503": found("UV503", Severity.WARNING, Cause.INPUT_SCALE),
        "UV201": found("UV201", Severity.ERROR, Cause.INPUT_SCALE),
    }
    assert Diagnosis(fold(verdicts)).worst == "error"


def test_the_second_finding_of_a_rule_is_folded_too() -> None:
    two = Found((*found("UV502").findings, *found("UV502", Severity.WARNING).findings))
    verdicts: dict[str, Verdict] = {"UV101": found("UV101"), "UV502": two}
    assert [f.root for f in Diagnosis(fold(verdicts)).findings] == ["", "UV101", "UV101"]
