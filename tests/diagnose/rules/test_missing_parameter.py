"""UV504: forgotten parameters, and parts that are left out on purpose."""

from __future__ import annotations

import math
from dataclasses import replace

from unvanish.core.findings import Cause, Severity
from unvanish.core.records import Optimizer, Parameter, Recording, RunContext, Stray, Use
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.diagnose.rules.missing_parameter import MissingParameter
from unvanish.testing import recording_of


def parameter(name: str, held: bool | None, depth: int = 1, size: int = 64, **settings):
    """One matrix that is first used at the given depth; a vector with size 1."""
    shape = (size, size) if size > 1 else (1,)
    return Parameter(
        name=name,
        shape=shape,
        in_optimizer=held,
        log10_grad_rms=-2.0,
        uses=(Use(depth - 1, -2.0),),
        **settings,
    )


def examine(*parameters: Parameter, optimizer: str = "Adam", strays: tuple[Stray, ...] = ()):
    context = RunContext(optimizer=Optimizer(name=optimizer, lr=1e-3))
    recording = recording_of(*["linear"] * 4, parameters=parameters, context=context)
    return MissingParameter().examine(replace(recording, strays=strays))


def only(verdict):
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.causes == (Cause.DETACHED_GRAPH,)
    return finding


BODY = (parameter("body.0.weight", True, 1), parameter("body.1.weight", True, 2))


def test_an_optimiser_of_another_instance_is_an_error():
    finding = only(examine(parameter("a.weight", False), parameter("b.weight", False)))
    assert finding.severity is Severity.ERROR
    assert finding.message == "the optimiser holds none of the 2 trainable parameters"


def test_a_layer_added_later_is_a_warning():
    finding = only(examine(*BODY, parameter("head.weight", False, 3, 10)))
    assert finding.severity is Severity.WARNING
    assert finding.message == "head.weight is trainable, but not in the optimiser"


def test_forgotten_biases_and_a_temperature_are_a_warning():
    biases = [parameter(f"body.{i}.bias", False, i + 1, 1) for i in range(2)]
    assert only(examine(*BODY, *biases)).severity is Severity.WARNING
    assert only(examine(*BODY, parameter("temperature", False, 3, 1))).severity is Severity.WARNING


def test_a_linear_probe_is_a_note():
    backbone = [parameter(f"backbone.{i}.weight", False, i + 1, 8) for i in range(2)]
    finding = only(examine(*backbone, parameter("head.weight", True, 3)))
    assert finding.severity is Severity.NOTE
    assert "backbone" in finding.notes[1]


def test_the_other_player_and_a_small_tuned_part_are_a_note():
    player = [parameter(f"d.{i}.weight", False, i + 3, 8) for i in range(2)]
    assert only(examine(*BODY, *player)).severity is Severity.NOTE
    tuned = [parameter(f"{i}.bias", True, i + 1, 1) for i in range(2)]
    rest = [parameter(f"{i}.weight", False, i + 1) for i in range(2)]
    assert only(examine(*tuned, *rest)).severity is Severity.NOTE


def test_muon_takes_matrices_only():
    bias = parameter("body.0.bias", False, 1, 1)
    assert only(examine(*BODY, bias, optimizer="Muon")).severity is Severity.NOTE


def test_layers_in_a_plain_list_are_a_warning():
    strays = (Stray(0, (8, 8)), Stray(0, (8,)))
    finding = only(examine(parameter("head.weight", None), strays=strays))
    assert finding.severity is Severity.WARNING
    assert finding.message == "2 trainable tensors of 72 entries are no parameter of the network"
    by_hand = tuple(replace(stray, in_optimizer=True) for stray in strays)
    assert isinstance(examine(*BODY, strays=by_hand), Clear)


def test_teachers_and_frozen_parts_are_silent():
    teacher = parameter("teacher.weight", False, has_grad=False)
    frozen = parameter("frozen.weight", False, requires_grad=False)
    dead = replace(parameter("dead.weight", False), log10_grad_rms=-math.inf)
    assert isinstance(examine(*BODY, teacher, frozen, dead), Clear)


def test_whose_optimiser_is_not_known():
    assert isinstance(examine(parameter("a", None)), NotApplicable)
    assert isinstance(MissingParameter().examine(Recording()), NotMeasured)
