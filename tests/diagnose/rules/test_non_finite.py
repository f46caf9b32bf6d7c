"""UV403: where NaN and infinity begin, and infinities that do no harm."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from unvanish.core.conditions import Optimizer, RunContext
from unvanish.core.findings import Cause, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Parameter, Recording, Role, Site
from unvanish.core.verdicts import Clear, Found, NotMeasured
from unvanish.diagnose.rules.non_finite import NonFinite
from unvanish.testing import recording_of

examine = NonFinite().examine


LAYER = Site(index=0, path="fc", op="linear", weights=("fc.weight",))


def forward(steps: str, shares: list[float], **settings):
    return examine(
        recording_of(*steps.split(), profiles={Quantity.NON_FINITE_FRACTION: shares}, **settings)
    )


def only(verdict):
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.severity is Severity.ERROR
    return finding


@pytest.mark.parametrize(
    ("op", "cause"),
    [("exp", Cause.INIT_TOO_LARGE), ("log", Cause.PRECISION), ("div", Cause.PRECISION)],
)
def test_the_first_step_is_named(op, cause):
    finding = only(forward(f"linear {op} linear", [0.0, 0.1, 1.0]))
    assert finding.message == f"the forward pass is no longer finite from layers.1 {op} on"
    assert finding.sites[0].path == "layers.1"
    assert finding.causes == (cause,)
    assert finding.measured == 0.1


@pytest.mark.parametrize("op", ["log", "div", "rsqrt"])
def test_a_zero_that_no_layer_had_a_part_in_came_with_the_data(op):
    profiles = {Quantity.NON_FINITE_FRACTION: [0.0, 0.1, 0.1]}
    finding = only(examine(recording_of("sub", op, LAYER, profiles=profiles)))
    assert finding.causes == (Cause.INPUT_SCALE,)


def loss_steps(*ops: str) -> list[Site]:
    """Return steps of the loss, behind a layer."""
    return [LAYER, *(Site(index=0, path="", op=op, role=Role.LOSS) for op in ops)]


@pytest.mark.parametrize(
    ("ops", "cause"),
    [
        ("sigmoid log", Cause.LOSS_SATURATION),
        ("softmax gather log", Cause.LOSS_SATURATION),
        ("sigmoid sub log", Cause.LOSS_SATURATION),
        ("exp sum log", Cause.PRECISION),
        ("exp add div log", Cause.PRECISION),
        ("mul sum log", Cause.PRECISION),
    ],
)
def test_only_a_function_that_saturates_gives_the_logarithm_a_saturated_output(ops, cause):
    sites = loss_steps(*ops.split())
    profiles = {Quantity.NON_FINITE_FRACTION: [*[0.0] * (len(sites) - 1), 0.1]}
    assert only(examine(recording_of(*sites, profiles=profiles))).causes == (cause,)


def test_shares_of_evidence_that_a_relu_shut():
    sites = loss_steps("relu", "sum", "div", "log")
    profiles = {Quantity.NON_FINITE_FRACTION: [0.0, 0.0, 0.0, 0.0, 0.1]}
    recording = recording_of(*sites, profiles=profiles)
    edges = (*recording.edges, Edge(1, 3, 0.0))
    assert only(examine(replace(recording, edges=edges))).causes == (Cause.LOSS_SATURATION,)


@pytest.mark.parametrize("after", ["sum log", "add reciprocal", "mean neg log10"])
def test_an_exponential_that_the_formula_takes_back_is_the_number_format_s(after):
    sites = [LAYER, *(Site(index=0, path="", op=op) for op in ["exp", *after.split()])]
    profiles = {Quantity.NON_FINITE_FRACTION: [0.0, *[0.1] * (len(sites) - 1)]}
    finding = only(examine(recording_of(*sites, profiles=profiles)))
    assert finding.causes == (Cause.PRECISION,)
    assert "logsumexp" in finding.help[0]


@pytest.mark.parametrize("after", ["mean", "linear sum log"])
def test_an_exponential_that_stands_for_itself_is_not(after):
    """As the variance of an autoencoder, or a rate."""
    sites = [
        LAYER,
        *(
            LAYER if op == "linear" else Site(index=0, path="", op=op)
            for op in ["exp", *after.split()]
        ),
    ]
    profiles = {Quantity.NON_FINITE_FRACTION: [0.0, *[0.1] * (len(sites) - 1)]}
    assert only(examine(recording_of(*sites, profiles=profiles))).causes == (Cause.INIT_TOO_LARGE,)


def test_a_softmax_by_hand_of_two_exponentials():
    sites = [LAYER, *(Site(index=0, path="", op=op) for op in ["exp", "exp", "sum", "div"])]
    profiles = {Quantity.NON_FINITE_FRACTION: [0.0, 0.1, 0.1, 0.1, 0.1]}
    recording = recording_of(*sites, profiles=profiles)
    edges = [Edge(a, b, 0.0) for a, b in [(0, 1), (0, 2), (2, 3), (1, 4), (3, 4)]]
    finding = only(examine(replace(recording, edges=tuple(edges))))
    assert finding.causes == (Cause.PRECISION,)


def test_a_logarithm_of_parameters_alone_is_named_though_it_was_not_read():
    sites = [
        Site(index=0, path="", op="prod", role=Role.WEIGHT),
        Site(index=0, path="", op="log", role=Role.WEIGHT),
        Site(index=0, path="", op="sub", role=Role.LOSS),
    ]
    profiles = {Quantity.NON_FINITE_FRACTION: [None, None, 1.0]}
    finding = only(examine(recording_of(*sites, profiles=profiles)))
    assert [site.op for site in finding.sites] == ["log", "sub"]
    assert finding.causes == (Cause.PRECISION,)


def norm_by_hand(steps: str, shares: list[float], dtype: str = "float16") -> Recording:
    """A layer, its squares and what is made of them, and the layer times the last of that."""
    sites = [LAYER]
    sites += [Site(index=0, path="norm", op=op) for op in [*steps.split(), "mul"]]
    recording = recording_of(
        *sites,
        parameters=[Parameter(name="fc.weight", log10_grad_rms=-2.0, rms=0.1)],
        context=RunContext(loss="cross_entropy", loss_value=2.3, dtype=dtype),
        profiles={
            Quantity.NON_FINITE_FRACTION: [0.0, *shares, 0.0],
            Quantity.ACTIVATION_RMS: [1111.0, *(math.inf if n else 0.0 for n in shares), 0.0],
        },
    )
    return replace(recording, edges=(*recording.edges, Edge(0, len(sites) - 1, 0.0)))


@pytest.mark.parametrize(
    ("steps", "shares"),
    [
        ("pow mean add rsqrt", [0.8, 1.0, 1.0, 0.0]),
        ("var add pow", [1.0, 1.0, 1.0]),
        ("mul mean sqrt", [0.8, 1.0, 1.0]),
    ],
)
def test_a_norm_whose_squares_overflow_erases_what_it_is_given(steps, shares):
    finding = only(examine(norm_by_hand(steps, shares)))
    assert finding.causes == (Cause.PRECISION,)
    assert finding.measured == 1.0
    assert finding.sites[-1].op == "mul"
    assert "is zero where it does" in finding.message
    assert "float32" in finding.help[0]


def test_few_erased_rows_are_a_note():
    (finding,) = examine(norm_by_hand("pow mean rsqrt", [0.01, 0.02, 0.0])).findings
    assert finding.severity is Severity.NOTE


def test_a_quotient_without_a_root_is_zero_to_within_rounding():
    assert isinstance(examine(norm_by_hand("pow add reciprocal", [0.8, 0.8, 0.0])), Clear)


def test_half_precision_is_the_cause_of_its_overflows():
    context = RunContext(autocast="float16")
    finding = only(forward("linear exp", [0.0, 0.1], context=context))
    assert finding.causes == (Cause.PRECISION,)


def test_an_attention_mask_of_minus_infinity_is_healthy():
    verdict = forward("linear masked_fill softmax linear", [0.0, 0.5, 0.0, 0.0])
    assert isinstance(verdict, Clear)
    assert "the infinities of layers.1 masked_fill are absorbed" in verdict.summary


def test_a_row_in_which_everything_is_masked_is_not():
    finding = only(forward("linear masked_fill softmax linear", [0.0, 0.5, 0.1, 0.1]))
    assert "NaN for a row in which everything is masked" in finding.notes[0]
    assert finding.causes == (Cause.SOFTMAX_SATURATION,)


def test_the_loss_alone():
    context = RunContext(loss="cross_entropy", loss_value=math.inf)
    finding = only(forward("linear", [0.0], context=context))
    assert finding.message == "the loss is inf while the network's output is finite"
    assert isinstance(forward("linear", [0.0], context=RunContext()), Clear)


def test_the_first_step_of_the_backward_pass_is_the_last_in_forward_order():
    recording = recording_of(
        "linear",
        "sqrt",
        "linear",
        profiles={
            Quantity.NON_FINITE_FRACTION: [0.0, 0.0, 0.0],
            # What arrives at a step; the square root's own slope sends NaN on.
            Quantity.NON_FINITE_GRAD_FRACTION: [0.25, 0.0, 0.0],
        },
    )
    finding = only(examine(recording))
    assert finding.message == "the gradient is no longer finite from layers.1 sqrt backwards"
    assert [site.index for site in finding.sites] == [1, 0]
    assert finding.causes == (Cause.PRECISION,)


def test_parameters_alone():
    parameters = [Parameter(name="a"), Parameter(name="b", non_finite_fraction=0.5)]
    finding = only(forward("linear", [0.0], parameters=parameters))
    assert finding.message == "the gradient of b is not finite"
    assert finding.parameters == ("b",)


def test_nothing_measured():
    assert isinstance(examine(recording_of("linear")), NotMeasured)


def test_an_absorbed_infinity_is_not_blamed_for_a_later_one():
    finding = only(forward("linear masked_fill softmax log", [0.0, 0.5, 0.0, 0.1]))
    assert [site.op for site in finding.sites] == ["log"]


def test_an_output_that_the_loss_absorbs_is_still_lost():
    loss = Site(index=0, path="", op="nan_to_num", role=Role.LOSS)
    profiles = {Quantity.NON_FINITE_FRACTION: [0.0, 0.1, 0.0]}
    assert only(examine(recording_of("linear", "exp", loss, profiles=profiles))).sites[0].index == 1


def test_without_a_graph_only_the_end_counts():
    profiles = {Quantity.NON_FINITE_FRACTION: [0.0, 0.1, 0.0]}
    recording = recording_of("linear", "masked_fill", "softmax", profiles=profiles)
    assert isinstance(examine(replace(recording, edges=())), Clear)


def in_training(steps: str, shares: list[float], loss: float = 1.5, **settings):
    """A loss was taken, and a parameter got a gradient."""
    parameter = Parameter(name="w", log10_grad_rms=-2.0, **settings)
    context = RunContext(loss="cross_entropy", loss_value=loss)
    return forward(steps, shares, parameters=[parameter], context=context)


def test_infinities_before_a_finite_loss_and_finite_gradients_are_absorbed():
    """The score of a class that is masked out, or scores that experts are only chosen from."""
    assert isinstance(in_training("linear masked_fill", [0.0, 0.25]), Clear)
    assert isinstance(in_training("linear sub linear", [0.0, 0.7, 0.0]), Clear)


def test_a_loss_or_a_gradient_that_is_no_number_is_not():
    assert only(in_training("linear exp", [0.0, 0.25], loss=math.nan)).sites[0].op == "exp"
    finding = only(in_training("linear linear", [0.0, 0.0], non_finite_fraction=0.5))
    assert finding.message == "the gradient of w is not finite"


def test_steps_that_no_gradient_reaches_are_not_blamed():
    loss = Site(index=0, path="", op="log", role=Role.LOSS)
    profiles = {
        Quantity.NON_FINITE_FRACTION: [0.0, 0.5, 0.0],
        Quantity.NON_FINITE_GRAD_FRACTION: [0.0, None, 0.0],
    }
    last = Site(index=0, path="", op="mean", role=Role.LOSS)
    recording = recording_of("linear", loss, last, profiles=profiles)
    edges = tuple(edge for edge in recording.edges if edge.producer != 1)
    assert isinstance(examine(replace(recording, edges=edges)), Clear)


def test_a_softmax_over_nothing_is_found_behind_steps_that_were_not_read():
    profiles = {Quantity.NON_FINITE_FRACTION: [0.0, None, None, 0.1, None, 0.1]}
    recording = recording_of(
        "matmul", "view", "masked_fill", "softmax", "view", "linear", profiles=profiles
    )
    finding = only(examine(recording))
    assert finding.sites[0].op == "softmax"
    assert finding.causes == (Cause.SOFTMAX_SATURATION,)


def test_what_the_first_layer_reads_came_with_the_data():
    first = Site(index=0, path="fc", op="linear", weights=("fc.weight",))
    recording = recording_of(
        first,
        "linear",
        parameters=[Parameter(name="fc.weight", rms=0.1)],
        profiles={Quantity.NON_FINITE_FRACTION: [0.1, 0.1]},
    )
    finding = only(examine(recording))
    assert finding.causes == (Cause.INPUT_SCALE,)
    large = (Parameter(name="fc.weight", rms=1e35),)
    assert only(examine(replace(recording, parameters=large))).causes == (Cause.INIT_TOO_LARGE,)


def test_a_gradient_that_is_absorbed_on_its_way_is_a_note():
    """The slope of a square root at zero, behind a ReLU that is shut there."""
    recording = recording_of(
        "linear",
        "relu",
        "sqrt",
        parameters=[Parameter(name="w", log10_grad_rms=-2.0)],
        context=RunContext(loss="mse_loss", loss_value=1.5),
        profiles={
            Quantity.NON_FINITE_FRACTION: [0.0, 0.0, 0.0],
            Quantity.NON_FINITE_GRAD_FRACTION: [0.0, 0.25, 0.0],
        },
    )
    (finding,) = examine(recording).findings
    assert finding.severity is Severity.NOTE
    assert finding.sites[0].op == "sqrt"
    assert "absorbs it" in finding.notes[-1]


@pytest.mark.parametrize("op", ["std", "var"])
@pytest.mark.parametrize(
    ("size", "cause"), [(0.7, Cause.NO_NORMALISATION), (1e25, Cause.INIT_TOO_LARGE)]
)
def test_a_standard_deviation_of_one_sample(op, size, cause):
    profiles = {
        Quantity.NON_FINITE_FRACTION: [0.0, 1.0, 1.0],
        Quantity.ACTIVATION_RMS: [size, math.nan, math.nan],
    }
    finding = only(examine(recording_of("linear", op, "linear", profiles=profiles)))
    assert finding.causes == (cause,)
    assert ("drop_last" in finding.help[-1]) is (cause is Cause.NO_NORMALISATION)


def of_pixels(rms: float, pre: float, *, end: str = "mse_loss") -> Recording:
    """A network whose data comes in with some rms, with an exponential of a size on its way."""
    sites = [
        LAYER,
        Site(index=0, path="", op="exp"),
        Site(index=0, path="out", op="linear", weights=("out.weight",)),
        Site(index=0, path="", op=end, role=Role.LOSS),
    ]
    return recording_of(
        *sites,
        parameters=[Parameter(name="fc.weight", shape=(64, 64), rms=0.072)],
        context=RunContext(batch_size=64, loss="mse_loss", loss_value=math.inf),
        profiles={
            Quantity.NON_FINITE_FRACTION: [0.0, 0.0, 0.0, 1.0],
            Quantity.INPUT_RMS: [rms, None, None, None],
            Quantity.INPUT_OFFSET: [1.0, None, None, None],
            Quantity.ACTIVATION_RMS: [pre, 3.9e22, 1.3e22, math.inf],
        },
    )


@pytest.mark.parametrize("end", ["mse_loss", "pow"])
def test_data_that_is_far_out_of_scale_is_why_numbers_overflow(end):
    finding = only(examine(of_pixels(124.0, 40.0, end=end)))
    assert finding.causes == (Cause.INPUT_SCALE,)
    assert "rms 124" in finding.notes[0]
    assert "x = (x - mean) / std" in finding.help[0]


@pytest.mark.parametrize(("rms", "pre"), [(1.0, 40.0), (31.0, 40.0), (124.0, 2e4)])
def test_data_in_scale_and_weights_that_add_more_are_not_the_data_s_doing(rms, pre):
    assert only(examine(of_pixels(rms, pre))).causes == (Cause.INIT_TOO_LARGE,)


def test_a_growth_that_no_exponential_makes_is_not_the_data_s_doing():
    recording = of_pixels(124.0, 40.0)
    sites = tuple(replace(s, op="square" if s.op == "exp" else s.op) for s in recording.sites)
    assert only(examine(replace(recording, sites=sites))).causes == (Cause.INIT_TOO_LARGE,)


ADAM = Optimizer(name="Adam", lr=1e-3, eps=1e-8)


def stepped(*ratios: float, optimizer: Optimizer = ADAM, dtype: str = "float16", **settings):
    """A first step that changed parameters by some ratios, from a finite loss and gradient."""
    known = {"rms": 0.1, "log10_grad_rms": -2.0, "in_optimizer": True, "learning_rate": 1e-3}
    parameters = [
        Parameter(**{**known, "name": f"w{i}", "update_ratio": ratio, **settings})
        for i, ratio in enumerate(ratios)
    ]
    context = RunContext(loss="cross_entropy", loss_value=2.3, dtype=dtype, optimizer=optimizer)
    return forward("linear", [0.0], parameters=parameters, context=context)


def test_a_step_that_divides_by_zero_leaves_no_numbers():
    finding = only(stepped(math.nan, 0.01, math.inf, 0.01))
    assert finding.message == (
        "the first step of Adam leaves weights that are no numbers, in 2 of 4 parameters"
    )
    assert finding.parameters == ("w0", "w2")
    assert finding.measured == 0.5
    assert finding.causes == (Cause.PRECISION,)
    assert "float32" in finding.help[0]


def test_a_step_without_eps_and_one_out_of_range():
    bare = replace(ADAM, eps=0.0)
    finding = only(stepped(math.nan, optimizer=bare, dtype="float32"))
    assert finding.causes == (Cause.OPTIMISER_FLOOR,)
    assert "eps=1e-8" in finding.help[0]
    plain = Optimizer(name="SGD", lr=1e38)
    finding = only(stepped(math.inf, optimizer=plain, dtype="float32"))
    assert finding.causes == (Cause.LEARNING_RATE,)


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": math.nan},
        {"in_optimizer": None},
        {"in_optimizer": False},
        {"rms": 0.0},
        {"rms": math.inf},
    ],
    ids="not_stepped assumed_optimiser left_out from_zero masked".split(),
)
def test_a_change_that_says_nothing_about_the_step(settings):
    assert isinstance(stepped(math.nan, **settings), Clear)
    assert isinstance(stepped(0.01, 0.5), Clear)
