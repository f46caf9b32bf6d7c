"""The famous contrasts, as the tool itself prints them for the networks of docs/explain.md."""

from __future__ import annotations

import functools
import math
import re

import pytest

import unvanish
from unvanish.api import Report
from unvanish.core.explanations import Factor, Level
from unvanish.explain.weights import flat_weights


@functools.cache
def checked(name: str) -> Report:
    return unvanish.checkup(f"docs/examples/contrasts.py:{name}")


def behind_the_loss(name: str) -> dict[Factor, float]:
    totals: dict[Factor, float] = {}
    for block in checked(name).explain().ledger.children:
        for factor, decades in block.by_factor().items() if block.level is not Level.LOSS else ():
            totals[factor] = totals.get(factor, 0.0) + decades
    return totals


def rows(name: str) -> list[str]:
    """The rows of the block under the finding, the number of each behind its factor."""
    text = checked(name).text()
    block = text.partition(" ledger: ")[2].partition(" theory: ")[0]
    found = re.findall(r"^ {11}(\S.*?) +([+-]\d+\.\d\d)(?= |$)", block, re.MULTILINE)
    return [f"{factor} {decades}" for factor, decades in found]


def test_sigmoid_is_condemned_by_its_cap() -> None:
    assert rows("sigmoid_default")[0] == "slope cap -9.03"  # 15 log10(1/4)
    assert behind_the_loss("sigmoid_default")[Factor.OPERATING_POINT] > -0.5
    assert checked("sigmoid_default").findings[0].causes[0] is unvanish.Cause.ACTIVATION_SLOPE


def test_default_tanh_is_condemned_by_its_weights() -> None:
    assert rows("tanh_default")[0].startswith("weight scale -4.7")  # 20 log10(1/sqrt 3) = -4.77
    assert checked("tanh_default").findings[0].causes[0] is unvanish.Cause.INIT_TOO_SMALL


def test_tanh_with_large_weights_saturates() -> None:
    found = behind_the_loss("tanh_large")
    assert found[Factor.OPERATING_POINT] < -8.0
    assert found[Factor.WEIGHT_SCALE] > 15.0  # 29 log10(4) and the head
    codes = {finding.code for finding in checked("tanh_large").findings}
    assert {"UV201", "UV102"} <= codes


def test_the_ledger_stands_under_a_finding_that_follows_from_another() -> None:
    text = checked("tanh_large").text()
    after = text.partition("follows: UV102")[2]
    assert " ledger: " in after
    assert text.count(" ledger: ") == 1


def test_xavier_relu_is_found_although_its_weights_look_well() -> None:
    report = checked("relu_xavier")
    assert "UV101" in {finding.code for finding in report.findings}
    pair = flat_weights(report.explain(), report.recording)
    assert pair is not None
    first, last = pair
    assert abs(first.log10_grad_norm - last.log10_grad_norm) < 1.0
    assert first.log10_backward < last.log10_backward - 3.0
    assert "weights: their gradients are alike" in report.text()


@pytest.mark.parametrize("name", ["sigmoid_default", "tanh_default"])
def test_weights_that_tell_of_it_are_not_called_flat(name: str) -> None:
    """A sigmoid's signal does not shrink; tanh's does so less than its gradient."""
    text = checked(name).text()
    report = checked(name)
    if flat_weights(report.explain(), report.recording) is None:
        assert "weights: their" not in text


def test_layer_normalisation_gives_a_sigmoid_back_less_than_it_takes() -> None:
    found = behind_the_loss("sigmoid_layernorm")
    assert found[Factor.NORM_SCALE] > 5.0
    assert found[Factor.SLOPE_CAP] + found[Factor.WEIGHT_SCALE] < -found[Factor.NORM_SCALE]
    assert checked("sigmoid_layernorm").findings[0].code == "UV101"


def test_the_trunk_of_a_pre_norm_transformer_scales_nothing() -> None:
    report = checked("pre_norm")
    trunk = next(c for c in report.explain().ledger.children if c.level is Level.GROUP)
    assert trunk.repeats == 18
    joins = {Factor.BRANCH_ENERGY, Factor.INTERFERENCE, Factor.LAYOUT, Factor.OTHER}
    for block in trunk.children[:-1]:  # but where it is still as small as what branches add
        assert set(block.by_factor()) <= joins
    assert abs(math.fsum(block.log10_gain for block in trunk.children[:-1])) < 1.0
    assert not report.findings


def test_in_a_post_norm_transformer_branches_give_back_what_norms_take() -> None:
    trunk = next(
        c for c in checked("post_norm").explain().ledger.children if c.level is Level.GROUP
    )
    found = trunk.by_factor()
    assert found[Factor.NORM_SCALE] < -1.5
    assert found[Factor.BRANCH_ENERGY] > 1.5
    assert abs(trunk.log10_gain) < 1.0
