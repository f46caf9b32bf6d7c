"""The contract kit catches every breach of the contract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Site
from unvanish.core.sources import SOURCES
from unvanish.core.verdicts import Clear, Found, NotMeasured
from unvanish.testing import check_rule, recording_of

FINDING = Finding(
    code="AC100",
    name="small-slope",
    severity=Severity.WARNING,
    message="the slope is small",
    measured=0.01,
    expected=1.0,
    limit=0.1,
    unit="dimensionless",
    causes=(Cause.ACTIVATION_SLOPE,),
    help=("use another function",),
)

CLEAR = Clear(0.9, "dimensionless", "the slope is 1")


@dataclass(frozen=True, kw_only=True)
class Good:
    """The slope is small.

    ## What it measures
    The slope.

    ## Why it hurts
    It is small.

    ## When it stays silent
    When it is not.

    ## False alarms
    None known.

    ## What helps
    Another function.

    ## Source
    An example.
    """

    code: ClassVar[str] = "AC100"
    name: ClassVar[str] = "small-slope"
    needs: ClassVar[frozenset[Quantity]] = frozenset({Quantity.SLOPE_RMS})
    sources: ClassVar[tuple] = (SOURCES["glorot2010"],)

    min_slope_rms: float = 0.1
    finding: Finding = FINDING
    clear: Clear = CLEAR

    def examine(self, recording):
        values = recording[Quantity.SLOPE_RMS].values.values()
        if not values:
            return NotMeasured("slope")
        return Found((self.finding,)) if min(values) < self.min_slope_rms else self.clear


def look(slope):
    return recording_of("linear", "tanh", profiles={Quantity.SLOPE_RMS: [None, slope]})


def check(rule, *, sick=0.01, healthy=1.0, not_measured=None):
    check_rule(rule, sick=look(sick), healthy=look(healthy), not_measured=look(not_measured))


def test_a_good_rule_passes():
    check(Good())


def test_recordings_are_checked_too():
    with pytest.raises(AssertionError, match="the sick recording must give Found, not Clear"):
        check(Good(), sick=1.0)
    with pytest.raises(AssertionError, match="the healthy recording must give Clear, not Found"):
        check(Good(), healthy=0.01)
    with pytest.raises(AssertionError, match="the unmeasured recording must give NotMeasured"):
        check(Good(), not_measured=1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"code": "X1"}, "'X1' is not letters and three digits"),
        ({"name": "Small Slope"}, "not in kebab case"),
        ({"needs": {Quantity.SLOPE_RMS}}, "`needs` must be a frozenset"),
        ({"sources": ()}, "`sources` must say"),
        ({"examine": None}, "TypeError"),
        ({"__doc__": "A page without headings."}, "it has none"),
        ({"__doc__": Good.__doc__.replace("It is small.", "")}, "nothing stands below Why it"),
        ({"__doc__": Good.__doc__.replace("## Source", "## Reference")}, "What helps, Reference"),
        ({"__doc__": "## What it measures\nNothing."}, "begin with one sentence"),
    ],
)
def test_the_form_of_the_rule(change, message):
    bad = dataclass(frozen=True, kw_only=True)(type("Bad", (Good,), {"__doc__": "x"} | change))
    if "__doc__" not in change:
        bad.__doc__ = Good.__doc__
    with pytest.raises(AssertionError, match=message):
        check(bad())


def test_a_rule_that_lacks_something_or_is_not_frozen():
    with pytest.raises(AssertionError, match="the rule lacks code, examine, name, needs, sources"):
        check(object())
    mutable = type("Mutable", (), {**vars(Good), "__dataclass_params__": None})
    del mutable.__setattr__
    with pytest.raises(AssertionError, match="a rule is a frozen dataclass"):
        check(mutable())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"code": "AC999"}, "the finding has code AC999"),
        ({"name": "other"}, "the finding has name other"),
        ({"causes": ()}, "must name its causes"),
        ({"help": ()}, "must say in `help`"),
        ({"message": "The slope is small"}, "begins in lower case"),
        ({"message": "the slope is small."}, "without a full stop"),
        ({"message": "is the slope small?"}, "or a question"),
        ({"message": ""}, "must be one line"),
        ({"unit": ""}, "names the unit"),
        ({"measured": 0.5}, "measured 0.5 is not beyond the limit 0.1"),
        ({"measured": 0.01, "expected": 0.0}, "not beyond"),
        ({"measured": float("nan")}, "not beyond"),
        ({"measured": float("nan"), "expected": float("nan")}, "not beyond"),
    ],
)
def test_the_finding(change, message):
    with pytest.raises(AssertionError, match=message):
        check(Good(finding=replace(FINDING, **change)))


def test_units_in_capitals_may_begin_a_message():
    check(Good(finding=replace(FINDING, message="ReLU passes nothing")))
    check(Good(finding=replace(FINDING, message="90% of the units are dead")))


@pytest.mark.parametrize(
    ("clear", "message"),
    [
        (Clear(-0.1, "decades", "x"), "must not be negative"),
        (Clear(0.1, "decades"), "in `summary`"),
        (Clear(0.1, "", "x"), "unit of its margin"),
    ],
)
def test_the_margin(clear, message):
    with pytest.raises(AssertionError, match=message):
        check(Good(clear=clear))


def test_examine_is_pure_and_survives_an_empty_recording():
    class Counts(Good):
        __doc__ = Good.__doc__
        looks: ClassVar[list] = []

        def examine(self, recording):  # noqa: ARG002
            self.looks.append(1)
            return Found((replace(FINDING, notes=(str(len(self.looks)),)),))

    class Writes(Good):
        __doc__ = Good.__doc__

        def examine(self, recording):
            profile = recording.profiles.get(Quantity.SLOPE_RMS)
            if profile and 1 in profile.values:
                profile.values[1] = 0.0
            return Found((FINDING,))

    class Fragile(Good):
        __doc__ = Good.__doc__

        def examine(self, recording):
            return recording.sites[0] and Good.examine(self, recording)

    class Optimist(Good):
        __doc__ = Good.__doc__
        needs = frozenset()

        def examine(self, recording):
            return super().examine(recording) if recording.sites else self.clear

    with pytest.raises(AssertionError, match="two looks at the sick recording differ"):
        check(Counts())
    with pytest.raises(AssertionError, match="examine must not change the sick recording"):
        check(Writes())
    with pytest.raises(AssertionError, match="must not raise, but did on the empty recording"):
        check(Fragile())
    with pytest.raises(AssertionError, match="an empty recording must not be cleared"):
        check(Optimist())


def test_a_chain_written_by_hand():
    recording = recording_of(
        "embedding",
        "tanh",
        "linear",
        "softmax",
        profiles={Quantity.LOG10_ACTIVATION_GRAD_RMS: [-3.0, -2.0, -1.5, 0.0]},
    )
    assert [site.depth for site in recording.sites] == [1, 1, 2, 2]
    assert [site.is_output for site in recording.sites] == [False, False, True, True]
    assert [edge.log10_gain for edge in recording.edges] == [-1.0, -0.5, -1.5]
    assert recording.sites[1].can_saturate
    assert [p.name for p in recording.parameters][::2] == ["layers.0.weight", "layers.2.weight"]
    own = recording_of(Site(index=9, path="mine", op="add", gates=True))
    assert (own.sites[0].index, own.sites[0].gates) == (0, True)
    with pytest.raises(ValueError, match="slope_rms has 1 values for 2 steps"):
        recording_of("linear", "tanh", profiles={Quantity.SLOPE_RMS: [1.0]})
