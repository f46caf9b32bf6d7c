"""UV501: cut parameters, and parameters that are left out on purpose."""

from __future__ import annotations

from unvanish.core.findings import Cause, Severity
from unvanish.core.records import Parameter
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.diagnose.rules.detached import DetachedParameter
from unvanish.testing import recording_of

LIVE = Parameter(name="head.weight", shape=(4, 4))


def cut(name: str, **settings) -> Parameter:
    return Parameter(name=name, shape=(4, 4), has_grad=False, **settings)


def examine(*parameters: Parameter):
    return DetachedParameter().examine(recording_of("linear", parameters=parameters))


def only(verdict):
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.causes == (Cause.DETACHED_GRAPH,)
    return finding


def test_a_cut_parameter_is_an_error():
    finding = only(examine(LIVE, cut("layers.0.weight")))
    assert finding.severity is Severity.ERROR
    assert finding.message == "layers.0.weight reaches the loss, but no gradient comes back"
    assert finding.sites[0].path == "layers.0"
    assert finding.measured == 1.0


def test_several_are_one_finding():
    finding = only(examine(LIVE, cut("a.weight"), cut("a.bias")))
    assert finding.message.startswith("2 parameters, the first a.weight, reach the loss")
    assert finding.parameters == ("a.weight", "a.bias")


def test_no_gradient_anywhere_is_an_error():
    finding = only(examine(cut("a"), cut("b", feeds_loss=False)))
    assert finding.severity is Severity.ERROR
    assert finding.message == "no gradient reaches any of the 2 trainable parameters"


def test_an_auxiliary_head_is_a_note():
    finding = only(examine(LIVE, cut("aux.weight", feeds_loss=False, used=True)))
    assert finding.severity is Severity.NOTE
    assert finding.message == "aux.weight is unused in this loss"
    both = examine(LIVE, cut("a.weight"), cut("aux.weight", feeds_loss=False, used=False))
    assert [f.severity for f in both.findings] == [Severity.ERROR, Severity.NOTE]


def test_a_frozen_backbone_is_silent():
    frozen = cut("backbone.weight", requires_grad=False)
    assert isinstance(examine(LIVE, frozen), Clear)
    assert isinstance(examine(frozen), NotApplicable)


def test_a_momentum_target_outside_the_optimiser_is_silent():
    assert isinstance(examine(LIVE, cut("target.0.weight", in_optimizer=False)), Clear)


def test_a_target_network_is_a_note_while_the_optimiser_is_unknown():
    online = Parameter(name="online.0.weight", shape=(4, 4))
    assert only(examine(online, cut("target.0.weight"))).severity is Severity.NOTE
    held = cut("target.0.weight", in_optimizer=True)
    assert only(examine(online, held)).severity is Severity.ERROR
    other = Parameter(name="target.0.weight", shape=(8, 4), has_grad=False)
    assert only(examine(online, other)).severity is Severity.ERROR


def test_layers_of_one_stack_are_no_twins():
    layers = [Parameter(name="layers.0.weight", shape=(4, 4)), cut("layers.1.weight")]
    assert only(examine(*layers)).severity is Severity.ERROR
    fields = [Parameter(name="fc1.weight", shape=(4, 4)), cut("fc2.weight")]
    assert only(examine(*fields)).severity is Severity.ERROR


def test_a_gradient_of_exactly_zero_is_not_its_matter():
    assert isinstance(examine(LIVE, Parameter(name="dead", zero_fraction=1.0)), Clear)


def test_nothing_recorded():
    assert isinstance(examine(), NotMeasured)


def test_a_loss_of_something_else_is_told_from_a_cut():
    finding = only(examine(cut("a", feeds_loss=False), cut("b", feeds_loss=False)))
    assert finding.notes == ("the loss is not computed from anything that the network answers",)
    assert "cut as a whole" in only(examine(cut("a"))).notes[0]


def test_what_a_library_cuts_of_its_own_is_a_note():
    finding = only(examine(LIVE, cut("indexer.weight", left_out_by="foreign")))
    assert finding.severity is Severity.NOTE
    assert finding.message == "indexer.weight gets no gradient by design of foreign"
    both = examine(LIVE, cut("indexer.weight", left_out_by="foreign"), cut("mine.weight"))
    assert [f.severity for f in both.findings] == [Severity.ERROR, Severity.NOTE]
    nothing = examine(cut("indexer.weight", left_out_by="foreign"))
    assert [f.severity for f in nothing.findings] == [Severity.ERROR]
