"""UV504: forgotten parameters, and parts that are left out on purpose."""

from __future__ import annotations

import math
from dataclasses import replace

from unvanish.core.conditions import Optimizer, RunContext
from unvanish.core.findings import Cause, Severity
from unvanish.core.incidents import Stray
from unvanish.core.records import Edge, Parameter, Recording, Role, Site, Use
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


def holding(foreign: tuple[tuple[int, ...], ...], *parameters: Parameter):
    context = RunContext(optimizer=Optimizer(name="Adam", lr=1e-3, foreign=foreign))
    recording = recording_of(*["linear"] * 4, parameters=parameters, context=context)
    return MissingParameter().examine(recording)


def test_what_was_built_anew_is_a_warning_however_large():
    """The optimiser still holds the old head, with other classes or none at all."""
    head = [parameter(f"head.{i}.weight", False, i + 3) for i in range(2)]
    assert only(holding(((10, 64),), *BODY, *head)).severity is Severity.WARNING
    assert only(holding(((10,), (64, 32)), *BODY, *head)).severity is Severity.NOTE


def test_one_layer_alone_is_nobodys_choice():
    first = parameter("stem.weight", False, 1, 256)
    rest = [parameter(f"body.{i}.weight", True, i + 2) for i in range(2)]
    assert only(examine(first, *rest)).severity is Severity.WARNING
    assert only(examine(first, rest[0])).severity is Severity.NOTE


def test_tables_alone_are_nobodys_choice():
    table = Site(index=0, path="words", op="embedding", weights=("words",), depth=1)
    words = Parameter(name="words", shape=(9999, 8), in_optimizer=False, log10_grad_rms=-3.0)
    context = RunContext(optimizer=Optimizer(name="Adam", lr=1e-3))
    recording = recording_of(table, *["linear"] * 3, parameters=(words, *BODY), context=context)
    assert only(MissingParameter().examine(recording)).severity is Severity.WARNING


def test_a_branch_between_layers_that_are_held_is_a_warning():
    sites = [
        Site(index=0, path=f"{name}.{i}", op="linear", weights=(f"{name}.{i}.weight",), depth=depth)
        for depth, (name, i) in enumerate(
            [("start", 0), ("start", 1), ("middle", 0), ("middle", 1), ("end", 0), ("end", 1)], 1
        )
    ]
    held = [parameter(f"{name}.{i}.weight", True) for name in ("start", "end") for i in range(2)]
    missing = [parameter(f"middle.{i}.weight", False) for i in range(2)]
    context = RunContext(optimizer=Optimizer(name="Adam", lr=1e-3))
    recording = recording_of(*sites, parameters=(*held, *missing), context=context)
    assert only(MissingParameter().examine(recording)).severity is Severity.WARNING
    player = [replace(p, name=p.name.replace("middle", "end")) for p in missing]
    others = [parameter(f"{name}.{i}.weight", True) for name in ("start", "middle") for i in (0, 1)]
    recording = recording_of(*sites, parameters=(*others, *player), context=context)
    assert only(MissingParameter().examine(recording)).severity is Severity.NOTE


def beside(*held: str, norm: float = 1.0):
    """An encoder and an attention over it, both of the input, and a head behind both."""
    names = ["attention.0", "attention.1", "encoder.0", "head.0"]
    sites = [
        Site(index=0, path=name, op="linear", weights=(f"{name}.weight",), depth=1 + (i in (1, 3)))
        for i, name in enumerate(names)
    ]
    parameters = [
        parameter(f"{name}.weight", name.split(".")[0] in held, size=8 if "t" in name else 4)
        for name in names
    ]
    scale = replace(parameter("attention.norm.weight", False, 1, 1), shape=(8,), rms=norm)
    recording = recording_of(
        *sites,
        parameters=(*parameters, replace(scale, in_optimizer="attention" in held)),
        context=RunContext(optimizer=Optimizer(name="Adam", lr=1e-3)),
    )
    edges = (Edge(0, 1, 0.0), Edge(1, 3, 0.0), Edge(2, 3, 0.0))
    return only(MissingParameter().examine(replace(recording, edges=edges))).severity


def test_an_untrained_branch_beside_and_before_what_is_held_was_forgotten():
    assert beside("encoder", "head") is Severity.WARNING
    assert beside("encoder", "head", norm=0.97) is Severity.NOTE  # a backbone that was trained
    assert beside("head") is Severity.WARNING  # one layer over a body that has learned nothing
    assert beside("head", norm=0.97) is Severity.NOTE  # a probe
    assert beside("encoder") is Severity.NOTE


def test_hidden_matrices_alone_are_left_to_a_second_optimiser():
    hidden = [parameter(f"body.{i}.weight", False, i + 2) for i in range(2)]
    biases = [parameter(f"body.{i}.bias", True, i + 2, 1) for i in range(2)]
    ends = [parameter("first.weight", True, 1, 128), parameter("last.weight", True, 4)]
    finding = only(examine(*hidden, *biases, *ends))
    assert finding.severity is Severity.NOTE
    assert "Muon" in finding.notes[1]


def tuned(*held: str, factor: float = 1.0, optimizer: str = "Adam", norm: bool = False):
    """A table, two layers at the size that PyTorch starts them with, and their biases."""
    table = Site(index=0, path="words", op="embedding", weights=("words",), depth=1)
    layers = [
        Site(index=0, path=f"{i}", op="linear", weights=(f"{i}.weight", f"{i}.bias"), depth=i + 2)
        for i in range(2)
    ]
    gain = Site(index=0, path="norm", op="layer_norm", weights=("gain", "shift"), depth=4)
    start = factor / math.sqrt(3 * 64)
    fed = {"log10_grad_rms": -2.0}
    parameters = [
        Parameter(name="words", shape=(50, 64), rms=1.0, in_optimizer="words" in held, **fed),
        *(
            Parameter(
                name=f"{i}.{kind}",
                shape=(64, 64) if kind == "weight" else (64,),
                rms=start,
                in_optimizer=kind in held,
                **fed,
            )
            for i in range(2)
            for kind in ("weight", "bias")
        ),
    ]
    if norm:
        parameters += [
            Parameter(name=name, shape=(64,), rms=1.0, in_optimizer=name in held, **fed)
            for name in ("gain", "shift")
        ]
    recording = recording_of(
        table,
        *layers,
        *[gain] * norm,
        parameters=tuple(parameters),
        context=RunContext(optimizer=Optimizer(name=optimizer, lr=1e-3)),
    )
    return only(MissingParameter().examine(recording)).severity


def test_tuning_what_was_never_trained_is_a_mistake():
    assert tuned("bias") is Severity.WARNING
    assert tuned("words") is Severity.WARNING
    assert tuned("bias", "shift", norm=True) is Severity.WARNING


def test_tuning_is_a_choice_where_the_rest_has_learned_or_another_optimiser_has_it():
    assert tuned("bias", factor=1.03) is Severity.NOTE  # 4 standard errors
    assert tuned("words", factor=1.03) is Severity.NOTE
    assert tuned("words", optimizer="Adagrad") is Severity.NOTE
    assert tuned("words", optimizer="SparseAdam") is Severity.NOTE
    assert tuned("bias", "gain", "shift", norm=True) is Severity.NOTE


def drawn(name: str, shape: tuple[int, ...], held: bool, fan: int, factor: float = 1.0):
    rms = factor / math.sqrt(3 * fan)
    return Parameter(name=name, shape=shape, rms=rms, in_optimizer=held, log10_grad_rms=-2.0)


def coded(
    *,
    held: str = "decoder",
    factor: float = 1.0,
    shift: float = 1.0,
    width: int = 64,
    units: int = 10,
    module: str = "Linear",
    norm: float | None = None,
    more: tuple[Edge, ...] = (),
):
    """An encoder of two layers, one of two behind it, and a pass of the second without the first.

    Args:
        held: Which of the two the optimiser holds.
        factor: Size of the encoder's matrices, in that of the start.
        shift: The same of its biases.
        width: Features that the encoder reads.
        units: In the last layer.
        module: Of the encoder.
        norm: Size of the gains of a norm in the encoder.
        more: Edges beside the chain; steps 7 and 8 are the pass without the encoder.
    """
    names = ["encoder.0", "encoder.1", "norm", "decoder.0", "decoder.1", "", "", *["decoder"] * 2]
    weights = {0: ("encoder.0",), 1: ("encoder.1",), 3: ("decoder.0",), 4: ("decoder.1",)}
    weights |= {7: ("decoder.0",), 8: ("decoder.1",)}
    sites = [
        Site(
            index=0,
            path=name,
            op="layer_norm" if name == "norm" else "linear" if index in weights else "add",
            module=module if "encoder" in name else "Linear",
            weights=tuple(
                f"{own}.{kind}" for own in weights.get(index, ()) for kind in ("weight", "bias")
            )
            or (("encoder.gain",) if name == "norm" and norm is not None else ()),
            depth=1 + index % 7,
            role=Role.LOSS if index in (5, 6) else Role.SIGNAL,
        )
        for index, name in enumerate(names)
    ]
    stacked = 192 if module == "GRU" else 64
    shapes = {
        "encoder.0": (stacked, width),
        "encoder.1": (stacked, 64),
        "decoder.0": (64, 64),
        "decoder.1": (units, 64),
    }
    parameters = []
    for name, shape in shapes.items():
        is_held, fan = held in name, 64 if name != "encoder.0" or module == "GRU" else width
        sizes = (1.0, 1.0) if "decoder" in name else (factor, shift)
        parameters.append(drawn(f"{name}.weight", shape, is_held, fan, sizes[0]))
        parameters.append(drawn(f"{name}.bias", shape[:1], is_held, fan, sizes[1]))
    if norm is not None:
        gain = drawn("encoder.gain", (64,), held == "encoder", 64)
        parameters.append(replace(gain, rms=norm))
    context = RunContext(optimizer=Optimizer(name="Adam", lr=1e-3))
    recording = recording_of(*sites, parameters=parameters, context=context)
    edges = (*(Edge(i, i + 1, 0.0) for i in range(6)), *more)
    return only(MissingParameter().examine(replace(recording, edges=edges)))


def test_an_untrained_encoder_before_a_decoder_that_is_held_was_forgotten():
    finding = coded()
    assert finding.severity is Severity.WARNING
    assert "random codes" in finding.notes[1]
    assert "parameter group" in finding.help[2]
    assert coded(factor=1.3, norm=1.0).severity is Severity.WARNING  # the norm tells
    assert coded(width=16, module="GRU").severity is Severity.WARNING


def test_an_encoder_that_has_learned_something_is_a_choice():
    assert coded(factor=1.03).severity is Severity.NOTE  # 4 standard errors
    assert coded(shift=1.5).severity is Severity.NOTE
    assert coded(norm=0.97).severity is Severity.NOTE
    assert coded(width=16, module="GRU", factor=1.1).severity is Severity.NOTE


def test_a_matrix_is_compared_with_the_draw_of_its_own_module():
    """Both matrices grow to the size of another start: of a recurrent layer, and of attention."""
    assert coded(width=192, factor=math.sqrt(3.0)).severity is Severity.NOTE
    attention = math.sqrt(2 / 128) / (1 / math.sqrt(3 * 64))
    assert coded(module="MultiheadAttention", factor=attention, shift=0.0).severity is (
        Severity.WARNING
    )
    assert coded(factor=attention, shift=1.0).severity is Severity.NOTE


def test_a_generator_before_a_discriminator_that_is_held_is_the_other_player():
    assert coded(units=1).severity is Severity.NOTE
    assert coded(units=2).severity is Severity.NOTE
    assert coded(units=3).severity is Severity.WARNING
    real = (Edge(7, 8, 0.0), Edge(8, 5, 0.0))  # is shown real data too, and tells ten classes
    assert coded(more=real).severity is Severity.NOTE
    assert coded(held="encoder").severity is Severity.NOTE


def test_an_encoder_that_has_a_loss_of_its_own_is_left_alone():
    assert coded(more=(Edge(2, 6, 0.0),)).severity is Severity.NOTE


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


def normed(gain: float, *held: str) -> Severity | None:
    """Look at two layers with a norm between them, of which the optimiser holds some."""
    names = {"body": (8, 8), "gain": (8,), "shift": (8,), "head": (4, 8), "bias": (4,)}
    weights = (("body",), ("gain", "shift"), ("head", "bias"))
    recording = Recording(
        sites=tuple(
            Site(index=i, op=op, path=f"layer{i}", weights=weights[i], depth=i + 1)
            for i, op in enumerate(("linear", "batch_norm", "linear"))
        ),
        edges=(Edge(0, 1, 0.0), Edge(1, 2, 0.0)),
        parameters=tuple(
            Parameter(
                name=name,
                shape=shape,
                in_optimizer=name in held,
                rms=gain if name == "gain" else 0.0 if name == "shift" else 0.37,
                log10_grad_rms=-1.0,
                uses=(Use(next(i for i, row in enumerate(weights) if name in row), -1.0),),
            )
            for name, shape in names.items()
        ),
    )
    verdict = MissingParameter().examine(recording)
    return verdict.findings[0].severity if isinstance(verdict, Found) else None


def test_norms_standardise_without_their_gains() -> None:
    assert normed(1.0, "body", "head", "bias") is Severity.NOTE
    assert normed(1.0, "body", "head", "bias", "gain") is Severity.NOTE
    assert normed(0.0, "body", "head", "bias") is Severity.WARNING  # nothing passes it
    assert normed(1.0, "body", "bias") is Severity.WARNING  # a layer is missing as well
