"""The runner: order, selection, what is missing, what breaks."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from unvanish.core import registry
from unvanish.core.errors import UnvanishError
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.core.registry import Collected
from unvanish.core.verdicts import Clear, NotApplicable, NotMeasured
from unvanish.diagnose import all_rules, choose, diagnose, judge
from unvanish.diagnose import run as runner
from unvanish.diagnose.rules import BUILTIN_RULES
from unvanish.testing import recording_of


@dataclass(frozen=True, kw_only=True)
class Fake:
    code: str
    answer: object = Clear(1.0, "decades", "fine")
    name: str = "fake"
    needs: frozenset = frozenset()
    sources: tuple = ()

    def examine(self, recording):  # noqa: ARG002
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_verdicts_stand_in_the_order_of_the_codes():
    diagnosis = diagnose(Recording(), rules=[Fake(code="UV501"), Fake(code="UV102")])
    assert list(diagnosis.verdicts) == ["UV102", "UV501"]
    assert diagnosis.names == {"UV102": "fake", "UV501": "fake"}


def test_every_rule_answers_on_an_empty_recording_and_none_is_clear():
    diagnosis = diagnose(Recording())
    assert set(diagnosis.verdicts) >= {rule.code for rule in BUILTIN_RULES}
    assert not any(isinstance(verdict, Clear) for verdict in diagnosis.verdicts.values())
    assert diagnosis.worst == "not-measured"


TWENTIES = sorted(rule.code for rule in BUILTIN_RULES if rule.code.startswith("UV20"))


@pytest.mark.parametrize(
    ("select", "codes"),
    [
        (["UV20"], TWENTIES),
        (["uv202", "UV403"], ["UV202", "UV403"]),
        (["UV403", "UV20", "UV202"], [*TWENTIES, "UV403"]),
        (["dead-units"], ["UV202"]),
        ([], []),
    ],
)
def test_select_takes_codes_beginnings_and_names(select, codes):
    assert list(diagnose(Recording(), select=select).verdicts) == codes


def test_an_unknown_code_names_the_nearest_ones():
    with pytest.raises(UnvanishError, match=r"(?s)there is no rule 'UV20X'.*nearest: UV20"):
        diagnose(Recording(), select=["UV2", "UV20X"])
    with pytest.raises(UnvanishError, match=r"(?s)'saturated-activations'.*saturated-activation"):
        choose(BUILTIN_RULES, ["saturated-activations"])
    with pytest.raises(UnvanishError, match=r"the codes are: .*UV201"):
        choose(BUILTIN_RULES, ["%%%"])
    with pytest.raises(UnvanishError, match="there is no rule ''"):
        choose(BUILTIN_RULES, [""])


def test_a_missing_quantity_is_said_in_words():
    rule = Fake(code="AA100", needs=frozenset({Quantity.SLOPE_RMS, Quantity.SAMPLE_COSINE}))
    verdict = judge(rule, recording_of("linear", profiles={Quantity.SLOPE_RMS: [1.0]}))
    assert verdict == NotMeasured(
        "sample cosine (how alike the network sees two inputs; 1 means that it cannot tell "
        "them apart)"
    )


def test_a_rule_that_does_not_apply_needs_no_measurement():
    needs = frozenset({Quantity.SLOPE_RMS})
    answer = NotApplicable("no activation")
    assert judge(Fake(code="AA100", needs=needs, answer=answer), Recording()) is answer


def test_a_rule_that_raises_is_not_measured_and_logged(caplog):
    sick = Fake(code="AA100", answer=KeyError("gain"))
    diagnosis = diagnose(Recording(), rules=[sick, Fake(code="AA200")])
    assert diagnosis.verdicts["AA100"] == NotMeasured("the rule failed: KeyError: 'gain'")
    assert diagnosis.verdicts["AA200"] == Clear(1.0, "decades", "fine")
    assert "rule AA100 failed" in caplog.text
    assert "Traceback" in caplog.text


def test_a_rule_that_raises_for_lack_of_numbers_only_lacks_numbers(caplog):
    rule = Fake(code="AA100", answer=KeyError(0), needs=frozenset({Quantity.SLOPE_RMS}))
    assert "slope rms" in judge(rule, Recording()).missing
    assert not caplog.text


def test_an_answer_that_is_no_verdict_is_not_measured():
    verdict = judge(Fake(code="AA100", answer=True), Recording())
    assert verdict == NotMeasured("the rule failed: it returned bool, no verdict")


def test_a_broken_plug_in_is_not_measured_never_silent(monkeypatch):
    broken = {"AC101": UnvanishError("a plug-in could not be loaded", where="entry point 'AC101'")}
    monkeypatch.setattr(runner, "all_rules", lambda: Collected((Fake(code="UV100"),), broken))
    diagnosis = diagnose(Recording())
    assert isinstance(diagnosis.verdicts["AC101"], NotMeasured)
    assert diagnosis.worst == "not-measured"
    assert list(diagnose(Recording(), select=["UV100"]).verdicts) == ["UV100"]
    assert list(diagnose(Recording(), select=["AC101"]).verdicts) == ["AC101"]


def test_two_rules_with_one_code_are_refused(monkeypatch):
    point = registry.EntryPoint("UV201", "unvanish.diagnose.rules.dead:DeadUnits", "unvanish.rules")
    monkeypatch.setattr(registry, "entry_points", lambda **_: [point])
    with pytest.raises(UnvanishError, match="UV202 is claimed twice"):
        all_rules()
