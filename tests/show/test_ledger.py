"""The few lines under a finding: what they name, sum up, leave out and say beside them."""

from __future__ import annotations

import math

import pytest

from unvanish.core.explanations import Axes, Explanation, Factor, LayerAxis, Level, Prediction, Term
from unvanish.core.explanations import PredictedLayer as Layer
from unvanish.core.findings import Finding, Severity
from unvanish.core.records import Recording, Site
from unvanish.show.axes import axes_lines
from unvanish.show.ledger import bar, ledger_lines, place_words
from unvanish.show.sheet import Sheet

SHEET = Sheet.of(80)


def leaf(factor: Factor, gain: float) -> Term:
    return Term(level=Level.FACTOR, name=str(factor), log10_gain=gain, factor=factor, sites=(0,))


def explanation(*leaves: Term, **more: object) -> Explanation:
    gain = sum(each.log10_gain for each in leaves)
    block = Term(level=Level.BLOCK, name="a tanh", log10_gain=gain, sites=(0,), children=leaves)
    loss = Term(level=Level.LOSS, name="loss", log10_gain=-1.0, children=(leaf(Factor.LOSS, -1.0),))
    net = Term(level=Level.NETWORK, name="net", log10_gain=gain - 1.0, children=(loss, block))
    return Explanation(code="UV101", target=0, name="3 tanh", ledger=net, **more)  # type: ignore[arg-type]


def text_of(found: Explanation, finding: Finding | None = None) -> str:
    recording = Recording(sites=(Site(index=0, path="3", op="tanh"),))
    return "\n".join(line.plain for line in ledger_lines(found, recording, SHEET, finding))


def judged(measured: float) -> Finding:
    return Finding(code="UV101", name="x", severity=Severity.ERROR, message="m", measured=measured)


def test_small_factors_are_summed_up_and_the_loss_is_left_out() -> None:
    found = explanation(
        leaf(Factor.OPERATING_POINT, -6.0),
        leaf(Factor.WEIGHT_SCALE, 2.0),
        leaf(Factor.ALIGNMENT, -0.05),
        leaf(Factor.LAYOUT, 0.01),
    )
    head, first, second, rest = text_of(found).splitlines()
    assert head == " ledger: the loss's gradient from the output to module 3 tanh, -4.04 decades"
    assert first.split()[:3] == ["operating", "point", "-6.00"]
    assert "█" in first
    assert second.split()[:3] == ["weight", "scale", "+2.00"]
    assert "░" in second  # it works against the loss
    assert rest.split()[:3] == ["2", "others", "-0.04"]


def test_a_gradient_that_ends_is_left_to_the_finding() -> None:
    assert text_of(explanation(leaf(Factor.OPERATING_POINT, -math.inf))) == ""


@pytest.mark.parametrize(("measured", "differs"), [(6.1, False), (9.0, True), (math.inf, False)])
def test_a_finding_that_took_another_way_is_told_apart(measured: float, *, differs: bool) -> None:
    text = text_of(explanation(leaf(Factor.WEIGHT_SCALE, -6.0)), judged(measured))
    assert ("random signs at the output" in text) is differs


def test_theory_that_disagrees_says_what_was_measured() -> None:
    layers = (
        Layer(site=0, measured=-6.0, predicted=-1.0, band=0.5),
        Layer(site=0, measured=0.0, predicted=0.0, band=0.0),
    )
    found = explanation(leaf(Factor.WEIGHT_SCALE, -6.0), prediction=Prediction(layers=layers))
    assert "but measured -6.0" in text_of(found)


def test_a_bar_is_as_long_as_its_share() -> None:
    assert bar(-2.0, 4.0, 16, SHEET).plain == "█" * 8
    assert bar(2.0, 4.0, 16, SHEET).plain == "░" * 8
    assert bar(2.0, 4.0, 16, SHEET, lost=False).plain == "█" * 8
    assert bar(-math.inf, 4.0, 16, SHEET).plain == ""
    assert bar(0.0, 0.0, 16, SHEET).plain == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("(root) tanh #7", "tanh"),
        ("3 linear", "module 3 linear"),
        ("2 uses of 3 linear", "2 uses of module 3 linear"),
        ("29 x layers.1 to layers.29 (linear)", "29 x layers.1 to layers.29 (linear)"),
        ("head linear", "head linear"),
    ],
)
def test_a_bare_number_is_called_a_module(name: str, words: str) -> None:
    assert place_words(name) == words


def test_axes_that_were_not_measured_say_nothing() -> None:
    assert axes_lines(Axes(), SHEET) == []
    layers = (
        LayerAxis(site=0, name="a linear", cosine=0.5, deviation=0.8),
        LayerAxis(site=1, name="b linear", cosine=0.99),
    )
    (line,) = axes_lines(Axes(layers=layers), SHEET)
    assert line.plain == "samples: from a linear to b linear, cosine of two outputs 0.5 to 0.99"
