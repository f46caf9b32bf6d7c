"""What follows from what in a run: one root, and nothing explains what was there before it."""

from __future__ import annotations

import graphlib

from tests.diagnose.running.recorded import learned, run_of

from unvanish.core.findings import Diagnosis, Finding, Severity
from unvanish.core.verdicts import Found, Verdict
from unvanish.diagnose.running import diagnose_run
from unvanish.diagnose.running.bundles import FOLLOWS, fold


def found(code: str, step: int, severity: Severity = Severity.ERROR) -> Found:
    return Found(
        (Finding(code=code, name=code, severity=severity, message="something", step=step),)
    )


def roots(*findings: Found) -> dict[str, str]:
    verdicts: dict[str, Verdict] = {f.findings[0].code: f for f in findings}
    return {f.code: f.root for f in Diagnosis(fold(verdicts, every=50)).findings}


def test_nothing_follows_from_itself_by_any_way() -> None:
    order = list(graphlib.TopologicalSorter(FOLLOWS).static_order())
    assert len(order) == len(set(order))


def test_a_chain_leads_up_to_its_root() -> None:
    assert roots(found("UV612", 300), found("UV604", 300), found("UV607", 301)) == {
        "UV612": "",
        "UV604": "UV612",
        "UV607": "UV612",
    }


def test_what_began_later_explains_nothing() -> None:
    assert roots(found("UV604", 500), found("UV602", 0)) == {"UV604": "", "UV602": ""}
    assert roots(found("UV604", 350), found("UV602", 300)) == {"UV604": "", "UV602": "UV604"}


def test_a_note_explains_no_error() -> None:
    note = found("UV603", 100, Severity.NOTE)
    assert roots(note, found("UV607", 100)) == {"UV603": "", "UV607": ""}


def test_a_spike_that_kills_is_one_sickness() -> None:
    """A learning rate a thousand times too large at step 300 kills the ReLUs."""
    run = run_of(
        loss=lambda t: 6.0 if t >= 301 else learned(t),
        update=lambda t: 1.0 if t == 300 else -3.0 if t < 300 else float("-inf"),
        gradient=lambda k, t: -2.5 if t <= 300 or k == 4 else float("-inf"),
        moved=lambda k, t: 1.0 if t <= 300 or k == 4 else 0.0,
        dead=lambda t: 1.0 if t >= 650 else 0.05,
        rate=lambda t: 1.0 if t == 300 else 1e-3,
    )
    findings = diagnose_run(run).findings
    assert {f.code: f.root for f in findings} == {
        "UV611": "",
        **dict.fromkeys(["UV601", "UV602", "UV603", "UV604", "UV607", "UV612"], "UV611"),
    }
    assert findings[0].step == 300
    assert all(300 <= f.step <= 350 for f in findings)
