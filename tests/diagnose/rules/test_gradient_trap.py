"""UV505: the traps by name, and the stop-gradients that are none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from unvanish.core.findings import Cause, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.incidents import Cut
from unvanish.core.places import SourceLine
from unvanish.core.records import Parameter, Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.diagnose.rules.gradient_trap import GradientTrap
from unvanish.testing import recording_of

LIVE = Parameter(name="head.weight", shape=(4, 4))
CUT = Parameter(name="body.weight", shape=(4, 4), has_grad=False)
LINE = SourceLine("train.py", 12)


def recorded(*cuts: Cut, parameters: tuple[Parameter, ...] = (LIVE, CUT)) -> Recording:
    return replace(recording_of("linear", parameters=parameters), cuts=cuts)


def examine(*cuts: Cut, parameters: tuple[Parameter, ...] = (LIVE, CUT)):
    return GradientTrap().examine(recorded(*cuts, parameters=parameters))


def cut(op: str, under: str = "", **settings) -> Cut:
    return Cut(op, "", LINE, ("body.weight",), under, **settings)


TRAPS = {
    "checkpoint": (cut("linear", "checkpoint"), "a reentrant checkpoint gives", "use_reentrant"),
    "no_grad": (cut("linear", "no_grad"), "linear runs under torch.no_grad()", "no_grad"),
    "data": (cut("data"), ".data hands on the values", ".data"),
    "item": (cut("item"), "the value of body.weight leaves for numpy", "torch"),
    "numpy": (cut("detach", "export"), "the value of body.weight leaves for numpy", "torch"),
    "sample": (cut("normal", "sample"), ".sample() draws without a gradient", "rsample()"),
    "tensor": (cut("tensor"), "tensor makes a new tensor", "torch.stack"),
    "parameter": (cut("Parameter"), "nn.Parameter() makes a new tensor", "torch.stack"),
}


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_named_with_its_line_and_its_remedy(name):
    call, message, remedy = TRAPS[name]
    verdict = examine(call)
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.severity is Severity.ERROR
    assert finding.causes == (Cause.DETACHED_GRAPH,)
    assert finding.message.startswith(message)
    assert "body.weight" in finding.message
    assert finding.notes == ("the gradient ends at train.py:12",)
    assert remedy in finding.help[0]


@pytest.mark.parametrize("op", ["detach", "argmax", "long"])
def test_a_plain_detach_and_steps_without_a_derivative_are_not_its_matter(op):
    assert isinstance(examine(cut(op)), Clear)


def test_a_detach_within_no_grad_is_still_a_detach():
    assert isinstance(examine(cut("detach", "no_grad")), Clear)


def test_the_first_call_on_the_way_is_the_culprit():
    assert isinstance(examine(cut("detach"), cut("item")), Clear)
    assert isinstance(examine(cut("item"), cut("detach")), Found)


def test_calls_that_cut_nothing_are_silent():
    alive = replace(CUT, has_grad=True)
    assert isinstance(examine(cut("data"), parameters=(LIVE, alive)), Clear)
    assert isinstance(examine(), Clear)


def test_a_target_network_is_silent():
    online = Parameter(name="online.0.weight", shape=(4, 4))
    target = Parameter(name="target.0.weight", shape=(4, 4), has_grad=False)
    call = Cut("linear", "target.0", LINE, ("target.0.weight",), "no_grad")
    assert isinstance(examine(call, parameters=(online, target)), Clear)
    left_out = replace(target, in_optimizer=False)
    held = replace(online, in_optimizer=True)
    assert isinstance(examine(call, parameters=(held, left_out)), Clear)
    both = replace(target, in_optimizer=True)
    assert isinstance(examine(call, parameters=(held, both)), Found)


def test_a_backward_pass_that_returns_none():
    grads = {Quantity.LOG10_ACTIVATION_GRAD_RMS: [-2.0]}
    silent = Parameter(name="layers.0.weight", shape=(4, 4), has_grad=False)
    recording = recording_of("linear", profiles=grads, parameters=[LIVE, silent])
    (finding,) = GradientTrap().examine(recording).findings
    assert finding.message == "the backward pass of linear returns no gradient for layers.0.weight"
    assert finding.sites == recording.sites


def test_a_write_behind_autograds_back_is_a_note():
    alive = replace(CUT, has_grad=True)
    (finding,) = examine(cut("clamp", writes=True), parameters=(LIVE, alive)).findings
    assert finding.severity is Severity.NOTE
    assert finding.message == "clamp at train.py:12 writes into a tensor behind autograd's back"


def test_a_draw_that_feeds_layers_is_a_warning_although_every_gradient_arrives():
    alive = replace(CUT, has_grad=True)
    draw = cut("normal", "sample", feeds=("head.weight",))
    (finding,) = examine(draw, parameters=(LIVE, alive)).findings
    assert finding.severity is Severity.WARNING
    assert finding.parameters == ("body.weight",)
    assert finding.message == (
        ".sample() at train.py:12 draws without a gradient: body.weight learns nothing from what "
        "head.weight makes of the draw"
    )
    assert "rsample()" in finding.help[0]
    by_hand = cut("normal", "no_grad", feeds=("head.weight",))
    (finding,) = examine(by_hand, parameters=(LIVE, alive)).findings
    assert finding.message.startswith("torch.normal() under torch.no_grad() at train.py:12")


@pytest.mark.parametrize(
    ("feeds", "package", "in_optimizer"),
    [((), "", None), (("head.weight",), "a_library", None), (("head.weight",), "", False)],
)
def test_actions_and_what_a_library_or_nobody_trains_are_no_such_draws(
    feeds, package, in_optimizer
):
    alive = replace(CUT, has_grad=True, in_optimizer=in_optimizer)
    held = replace(LIVE, in_optimizer=True if in_optimizer is False else None)
    draw = cut("normal", "sample", feeds=feeds, package=package)
    assert isinstance(examine(draw, parameters=(held, alive)), Clear)


def test_several_calls_of_one_draw_are_one_finding():
    alive = replace(CUT, has_grad=True)
    calls = [cut(op, "sample", feeds=("head.weight",)) for op in ("mul", "add")]
    assert len(examine(*calls, parameters=(LIVE, alive)).findings) == 1


def test_a_derivative_without_a_graph_is_a_warning_although_every_gradient_arrives():
    alive = replace(CUT, has_grad=True)
    lost = cut("grad", "derivative")
    (finding,) = examine(lost, parameters=(LIVE, alive)).findings
    assert finding.severity is Severity.WARNING
    assert finding.message == (
        "torch.autograd.grad at train.py:12 gives the loss a derivative without a gradient: "
        "body.weight learns nothing from it"
    )
    assert finding.help[0].startswith("create_graph=True")
    (finding,) = examine(cut("hessian", "derivative"), parameters=(LIVE, alive)).findings
    assert finding.message.startswith("torch.autograd.functional.hessian at train.py:12")
    left_out = replace(alive, in_optimizer=False)
    held = replace(LIVE, in_optimizer=True)
    assert isinstance(examine(lost, parameters=(held, left_out)), Clear)


def test_a_derivative_is_not_where_the_gradient_of_others_ends():
    assert isinstance(examine(cut("detach"), cut("grad", "derivative")), Found)
    verdict = examine(cut("grad", "derivative"), cut("data"))
    assert [one.severity for one in verdict.findings] == [Severity.ERROR, Severity.WARNING]
    assert verdict.findings[0].message.startswith(".data")


def test_several_traps_are_several_findings():
    other = replace(CUT, name="neck.weight")
    calls = (cut("data"), Cut("item", "", LINE, ("neck.weight",)))
    findings = examine(*calls, parameters=(LIVE, CUT, other)).findings
    assert [f.parameters for f in findings] == [("body.weight",), ("neck.weight",)]


def test_nothing_recorded():
    assert isinstance(GradientTrap().examine(Recording()), NotMeasured)
    frozen = replace(CUT, requires_grad=False)
    assert isinstance(examine(parameters=(frozen,)), NotApplicable)
