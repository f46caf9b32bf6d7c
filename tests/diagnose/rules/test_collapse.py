"""UV103: samples that become alike, in amplitude or in rank, and those that only seem to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import unvanish
from unvanish.core.conditions import Optimizer, RunContext, ShortTraining
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Profile, Recording, Site
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.collapse import ForwardCollapse
from unvanish.testing import recording_of

examine = ForwardCollapse().examine


def chain(
    *spreads: float,
    ranks: tuple[float, ...] = (),
    samples: int = 64,
    outputs: int = 10,
    later: Recording | None = None,
) -> Recording:
    """Build linear layers with a tanh between; `spreads` is what enters each."""
    steps: list[str | Site] = []
    for i in range(len(spreads)):
        size = (outputs if i == len(spreads) - 1 else 32) * samples
        linear = Site(
            index=0,
            path=f"layers.{i}",
            op="linear",
            depth=i + 1,
            weights=(f"layers.{i}.weight",),
            size=size,
            is_output=i == len(spreads) - 1,
        )
        steps += [linear, "tanh"]
    steps.pop()

    def at_layers(values: tuple[float, ...]) -> list[float | None]:
        return [values[i // 2] if i % 2 == 0 else None for i in range(len(steps))]

    profiles = {Quantity.INPUT_SPREAD: at_layers(spreads)}
    if ranks:
        profiles[Quantity.INPUT_EFFECTIVE_RANK] = at_layers(ranks)
    return recording_of(
        *steps, profiles=profiles, context=RunContext(batch_size=samples), later=later
    )


def geometric(decades: float, layers: int = 11) -> tuple[float, ...]:
    """Return spreads whose amplitude falls by some decades over the layers, evenly."""
    return tuple(10.0 ** (-2.0 * decades * i / (layers - 1)) for i in range(layers))


def only(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    return finding


@pytest.mark.parametrize(
    ("decades", "severity"),
    [(3.2, Severity.WARNING), (5.9, Severity.WARNING), (6.1, Severity.ERROR)],
)
def test_differences_that_die_away_with_depth(decades: float, severity: Severity) -> None:
    finding = only(examine(chain(*geometric(decades))))
    assert finding.severity is severity
    assert finding.measured == pytest.approx(decades)
    assert finding.limit == 3.0
    assert finding.sites[-1].path == "layers.10"
    assert finding.chart is not None
    assert finding.chart.points[-1].log10 == pytest.approx(-decades)


@pytest.mark.parametrize("decades", [-1.0, 0.0, 1.5, 2.9])
def test_what_remains_of_the_differences_is_clear(decades: float) -> None:
    verdict = examine(chain(*geometric(decades)))
    assert isinstance(verdict, Clear)
    assert verdict.margin == pytest.approx(3.0 - max(0.0, decades))


def test_only_what_was_lost_since_the_input_counts() -> None:
    """Inputs that are alike from the start are the data's, not the network's."""
    assert isinstance(examine(chain(*(1e-7 * spread for spread in geometric(1.0)))), Clear)


def test_an_optimiser_that_rescales_is_allowed_more() -> None:
    recording = chain(*geometric(4.5))
    even = tuple(
        Parameter(name=f"layers.{i}.weight", shape=(32, 32), update_ratio=1e-2, turn_ratio=1e-2)
        for i in range(11)
    )
    assert isinstance(examine(recording), Found)
    assert isinstance(examine(replace(recording, parameters=even)), Clear)


def test_a_collapse_in_one_step_is_a_note() -> None:
    finding = only(examine(chain(1.0, 0.5, 0.5, 0.4, 0.0, 0.0)))
    assert finding.severity is Severity.NOTE
    assert [site.path for site in finding.sites] == ["layers.4", "layers.3"]
    assert finding.measured == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("after", "mismatched", "severity"),
    [
        (0.99, math.nan, Severity.WARNING),
        (0.50, 0.505, Severity.WARNING),
        (0.50, 0.80, Severity.NOTE),
        (0.50, math.nan, Severity.NOTE),
    ],
)
def test_a_collapse_in_one_step_is_asked_what_it_learns(
    after: float, mismatched: float, severity: Severity
) -> None:
    run = ShortTraining(steps=60, loss_before=1.0, loss_after=after, loss_mismatched=mismatched)
    finding = only(examine(replace(chain(1.0, 0.5, 0.5, 0.4, 0.0, 0.0), training=run)))
    assert finding.severity is severity
    assert any("learn next to nothing" in note for note in finding.notes) == (
        severity is Severity.WARNING
    )


def test_a_collapse_that_ends_within_the_probe_steps_is_clear() -> None:
    later = chain(1.0, 0.5, 0.5, 1e-3)
    verdict = examine(chain(1.0, 0.5, 0.5, 0.0, later=later))
    assert isinstance(verdict, Clear)
    assert "a few optimiser steps end that" in verdict.summary


def test_learned_queries_before_the_samples_come_in_are_left_out() -> None:
    assert isinstance(examine(chain(0.0, 0.9, 0.5, 0.4)), Clear)


def test_the_best_of_several_heads_is_what_counts() -> None:
    recording = chain(*geometric(4.0))
    sites = list(recording.sites)
    head = replace(sites[-1], index=len(sites), path="other_head")
    profile = recording[Quantity.INPUT_SPREAD]
    spreads = Profile(profile.quantity, {**profile.values, head.index: 0.1})
    better = replace(
        recording,
        sites=(*sites, head),
        profiles={**recording.profiles, profile.quantity: spreads},
    )
    assert isinstance(examine(better), Clear)


def test_flat_samples_are_a_note_and_in_a_deep_network_a_warning() -> None:
    flat = only(examine(chain(*[0.5] * 12, ranks=(9.0, 3.0, *[1.2] * 10))))
    assert flat.severity is Severity.NOTE
    assert (flat.measured, flat.expected, flat.limit) == (1.2, 9.0, 2.0)
    deep = only(examine(chain(*[0.5] * 40, ranks=(9.0, 3.0, *[1.2] * 38))))
    assert deep.severity is Severity.WARNING
    assert "38 of 40 layers" in deep.message


def test_the_last_quarter_of_the_layers_is_what_counts() -> None:
    ranks = (*[9.0] * 30, *[1.8] * 10)
    assert only(examine(chain(*[0.5] * 40, ranks=ranks))).measured == 1.8
    recovers = (9.0, *[1.8] * 29, *[9.0] * 10)
    assert isinstance(examine(chain(*[0.5] * 40, ranks=recovers)), Clear)


def test_a_few_flat_layers_are_no_note_before_depth_makes_them_a_warning() -> None:
    assert isinstance(examine(chain(*[0.5] * 39, ranks=(*[9.0] * 29, *[1.8] * 10))), Clear)


@pytest.mark.parametrize(
    ("optimizer", "severity"),
    [
        (Optimizer(name="SGD", lr=0.01, momentum=0.9), Severity.WARNING),
        (Optimizer(name="Adam", lr=1e-3, eps=1e-8, betas=(0.9, 0.999)), Severity.NOTE),
        (Optimizer(name="RMSprop", lr=1e-3, eps=1e-8, momentum=0.0), Severity.NOTE),
    ],
    ids=["sgd", "adam", "rmsprop"],
)
def test_plain_gradient_descent_bears_less_depth(optimizer: Optimizer, severity: Severity) -> None:
    recording = chain(*[0.5] * 30, ranks=(9.0, 3.0, *[1.2] * 28))
    context = replace(recording.context, optimizer=optimizer)
    assert only(examine(replace(recording, context=context))).severity is severity


FLAT = (9.0, *[1.1] * 11)


@pytest.mark.parametrize(
    "recording",
    [
        chain(*[0.5] * 12, ranks=(9.0, *[2.1] * 11)),
        chain(*[0.5] * 12, ranks=(2.0, *[1.1] * 11)),
        chain(*[0.5] * 12, ranks=FLAT, samples=6),
        chain(*[0.5] * 12, ranks=FLAT, outputs=2),
        chain(*[0.5] * 4, ranks=(9.0, *[1.1] * 3)),
        chain(*[0.5] * 12),
    ],
    ids=["two directions", "flat input", "few samples", "two outputs", "shallow", "no ranks"],
)
def test_a_low_rank_with_a_reason_is_clear(recording: Recording) -> None:
    assert isinstance(examine(recording), Clear)


def test_what_cannot_be_judged() -> None:
    assert isinstance(examine(recording_of("linear", "relu")), NotApplicable)
    assert isinstance(examine(chain(0.5, 0.5, samples=1)), NotApplicable)
    assert isinstance(examine(recording_of("linear", "tanh", "linear")), NotMeasured)
    equal = examine(chain(0.0, 0.0, 0.0))
    assert isinstance(equal, NotMeasured)
    assert "all of its samples are equal" in equal.missing
    nan = RunContext(batch_size=64, loss="mse", loss_value=float("nan"))
    assert isinstance(examine(replace(chain(0.5, 0.5), context=nan)), NotMeasured)
    lost = recording_of(
        "linear", "tanh", "linear", profiles={Quantity.ACTIVATION_RMS: [1.0, 1.0, 1.0]}
    )
    assert isinstance(examine(lost), NotApplicable)


@pytest.mark.parametrize(
    ("bias", "gain", "mean", "cause"),
    [
        (0.9, 0.5, 0.0, Cause.INIT_TOO_SMALL),
        (0.9, 1.4, 0.0, Cause.BIAS),
        (0.1, 1.0, 0.9, Cause.ACTIVATION_SLOPE),
        (0.1, 1.0, 0.0, Cause.DEPTH_WITHOUT_SKIP),
    ],
)
def test_the_cause_is_what_took_most(bias: float, gain: float, mean: float, cause: Cause) -> None:
    recording = chain(*geometric(4.0))
    sizes = [1.0] * len(recording.sites)
    values = recording_of(
        *[site.op for site in recording.sites],
        profiles={
            Quantity.ACTIVATION_RMS: sizes,
            Quantity.ACTIVATION_MEAN: [
                mean if site.op == "tanh" else 0.0 for site in recording.sites
            ],
        },
    )
    parameters = [
        parameter
        for i in range(11)
        for parameter in (
            Parameter(name=f"layers.{i}.weight", shape=(64, 64), rms=gain / 8),
            Parameter(name=f"layers.{i}.bias", shape=(64,), rms=bias),
        )
    ]
    profiles = {**recording.profiles, **values.profiles}
    recording = replace(recording, profiles=profiles, parameters=tuple(parameters))
    finding = only(examine(recording))
    assert finding.causes[0] == cause
    assert "tanh" in " ".join(finding.help) or cause is not Cause.ACTIVATION_SLOPE


def network(depth: int, act: type[nn.Module], norm: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(32, 32), *([nn.BatchNorm1d(32)] if norm else []), act()]
    return nn.Sequential(*layers, nn.Linear(32, 10))


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(64, 32), torch.randint(0, 10, (64,))


def of(report: unvanish.Report) -> Verdict:
    return report.diagnosis.verdicts["UV103"]


def test_a_deep_sigmoid_network_is_found_and_batch_normalisation_helps() -> None:
    sick = of(unvanish.checkup(network(12, nn.Sigmoid), batch(), select=["UV103"]))
    assert only(sick).severity is Severity.ERROR
    assert only(sick).causes[0] is Cause.ACTIVATION_SLOPE
    healthy = unvanish.checkup(network(12, nn.Sigmoid, norm=True), batch(), select=["UV103"])
    assert isinstance(of(healthy), Clear)


def test_small_weights_beside_biases_are_found_as_such() -> None:
    """Without biases the same weights keep the angles: nothing else is there."""
    model = network(16, nn.ReLU)
    sick = of(unvanish.checkup(model, batch(), select=["UV103"]))
    assert only(sick).causes[0] is Cause.INIT_TOO_SMALL
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
    assert unvanish.checkup(model, batch(), select=["UV103"]).exit_code() == 0


def test_shallow_sigmoids_and_constant_heads_are_left_in_peace() -> None:
    model = network(3, nn.Sigmoid)
    assert isinstance(of(unvanish.checkup(model, batch(), select=["UV103"])), Clear)
    nn.init.zeros_(model[-1].weight)
    assert isinstance(of(unvanish.checkup(model, batch(), select=["UV103"])), Clear)


def test_a_batch_of_one_image_is_no_collapse() -> None:
    x, y = batch()
    report = unvanish.checkup(network(2, nn.ReLU), (x[:1].expand(64, -1), y), select=["UV103"])
    assert isinstance(of(report), NotMeasured)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "act", "learns"),
    [(3, nn.Sigmoid, True), (4, nn.Sigmoid, False), (6, nn.GELU, True), (10, nn.GELU, False)],
)
def test_momentum_learns_above_the_limit_and_not_below(
    depth: int, act: type[nn.Module], learns: bool
) -> None:
    """The page's experiment: 64 wide, 400 steps at the best of three rates, on the digits."""
    from unvanish.zoo.data import training_digits

    torch.set_num_threads(1)
    x, y = training_digits()
    x = (x - x.mean(0)) / (x.std(0) + 1e-2)
    best = 0.0
    for rate in (1e-2, 1e-1, 1.0):
        torch.manual_seed(0)
        layers = [m for _ in range(depth) for m in (nn.Linear(64, 64), act())]
        model = nn.Sequential(*layers, nn.Linear(64, 10))
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
        for _ in range(400):
            chosen = torch.randint(len(x), (64,))
            optimizer.zero_grad()
            F.cross_entropy(model(x[chosen]), y[chosen]).backward()
            optimizer.step()
        best = max(best, float((model(x).argmax(1) == y).float().mean()))
    assert (best > 0.5) is learns
    torch.manual_seed(0)
    layers = [m for _ in range(depth) for m in (nn.Linear(64, 64), act())]
    model = nn.Sequential(*layers, nn.Linear(64, 10))
    report = unvanish.checkup(
        model,
        (x[:64], y[:64]),
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        select=["UV103"],
    )
    assert isinstance(of(report), Clear) is learns


def averaged(*apart: float) -> Recording:
    """Two layers, and between them steps without weights; `apart` is 1 - cosine behind each."""
    layers = [
        Site(index=0, path=name, op="linear", depth=depth, weights=(f"{name}.weight",), size=640)
        for depth, name in enumerate(("first", "last"), 1)
    ]
    hops = [Site(index=0, path="", op="matmul", depth=1) for _ in apart[1:]]
    profiles = {
        Quantity.INPUT_SPREAD: [1.0, *[None] * len(hops), apart[-1]],
        Quantity.SAMPLE_COSINE: [*(1.0 - value for value in apart), None],
    }
    return recording_of(
        layers[0], *hops, layers[1], profiles=profiles, context=RunContext(batch_size=64)
    )


def test_averages_without_weights_compound() -> None:
    finding = only(examine(averaged(*(10.0 ** (-0.5 * i) for i in range(17)))))
    assert finding.severity is Severity.WARNING
    assert finding.causes == (Cause.DEPTH_WITHOUT_SKIP,)
    assert finding.notes[-1] == "16 steps without weights make them alike, a little each"
    assert "average fewer times" in finding.help[0]


def test_one_average_that_takes_everything_does_not_compound() -> None:
    finding = only(examine(averaged(1.0, 0.9, 1e-8, 1e-8)))
    assert finding.severity is Severity.NOTE
    assert isinstance(examine(averaged(*(10.0 ** (-0.5 * i) for i in range(10)))), Clear)


def pooled(norm: nn.Module) -> nn.Module:
    """Build a small classifier of images with a normalisation of 32 channels behind the pooling."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(32, 32, 1),
        norm,
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(32, 4),
    )


@pytest.mark.parametrize(("groups", "sick"), [(32, True), (16, False), (8, False), (1, False)])
def test_a_normalisation_of_single_numbers(groups: int, sick: bool) -> None:
    torch.manual_seed(0)
    batch = torch.randn(16, 3, 8, 8), torch.randint(4, (16,))
    model = pooled(nn.GroupNorm(groups, 32))
    report = unvanish.checkup(model, batch, loss=F.cross_entropy, select=("UV103",))
    assert [f.severity for f in report.findings] == [Severity.ERROR] * sick
    if sick:
        (finding,) = report.findings
        assert finding.causes == (Cause.NO_NORMALISATION,)
        assert "4 group_norm" in finding.message
        nn.init.normal_(model[4].bias)  # type: ignore[union-attr, arg-type]
        again = unvanish.checkup(model, batch, loss=F.cross_entropy, select=("UV103",))
        assert [f.severity for f in again.findings] == [Severity.ERROR]


def test_a_normalisation_of_one_feature() -> None:
    torch.manual_seed(0)
    batch = torch.randn(64, 8), torch.randn(64, 1)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1), nn.LayerNorm(1))
    report = unvanish.checkup(model, batch, loss=F.mse_loss, select=("UV103",))
    assert [f.severity for f in report.findings] == [Severity.ERROR]


def test_a_branch_that_normalises_single_numbers_is_a_note() -> None:
    class Excited(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.out = nn.Conv2d(3, 32, 3, padding=1), nn.Linear(32, 4)
            self.gate = nn.Sequential(nn.Conv2d(32, 32, 1), nn.GroupNorm(32, 32), nn.Sigmoid())

        def forward(self, x: Tensor) -> Tensor:
            h = self.conv(x).relu()
            return self.out((h * self.gate(h.mean((2, 3), keepdim=True))).mean((2, 3)))

    torch.manual_seed(0)
    batch = torch.randn(16, 3, 8, 8), torch.randint(4, (16,))
    report = unvanish.checkup(Excited(), batch, loss=F.cross_entropy, select=("UV103",))
    assert [f.severity for f in report.findings] == [Severity.NOTE]


def test_a_loss_that_asks_for_what_a_normalisation_takes_away_is_not_its_fault() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.LayerNorm(16))
    batch = torch.randn(64, 8), torch.randn(64, 16)
    report = unvanish.checkup(model, batch, loss=lambda output, _: output.mean(), select=("UV103",))
    assert not report.findings


class Pyramid(nn.Module):
    """Maps of a backbone without gradient, normalised side by side, read as one sequence."""

    def __init__(self, *pixels: int, queries: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Conv2d(3, 16, 3, padding=1).requires_grad_(False)
        self.shrink = nn.ModuleList(nn.AdaptiveAvgPool2d(n) for n in pixels)
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(16, 16, 1), nn.GroupNorm(16, 16)) for _ in pixels
        )
        self.queries = nn.Parameter(torch.randn(4, 16)) if queries else None
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.dropout, self.out = nn.Dropout(dropout), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        maps = [shrink(self.backbone(x)) for shrink in self.shrink]
        levels = zip(self.levels, maps, strict=True)
        tokens = torch.cat([level(one).flatten(2).mT for level, one in levels], 1)
        if self.queries is not None:
            asked = self.dropout(self.queries.expand(len(x), -1, -1))
            tokens = asked + self.attention(asked, tokens, tokens, need_weights=False)[0]
        return self.out(tokens.mean(1))


@pytest.mark.parametrize(
    ("model", "severity"),
    [
        (Pyramid(4, 2, 1), Severity.NOTE),
        (Pyramid(4, 1, queries=True, dropout=0.1), Severity.NOTE),
        (Pyramid(1), Severity.ERROR),
        (Pyramid(1, 1), Severity.ERROR),
        (Pyramid(1, queries=True), Severity.ERROR),
        (Pyramid(1, 1, queries=True, dropout=0.1), Severity.ERROR),
    ],
    ids=["three maps", "asked", "one map", "two of one pixel", "queries", "queries dropped out"],
)
def test_single_numbers_are_sick_where_the_samples_have_no_other_way(
    model: nn.Module, severity: Severity
) -> None:
    batch = torch.randn(16, 3, 8, 8), torch.randint(4, (16,))
    report = unvanish.checkup(model, batch, loss=F.cross_entropy, select=("UV103",))
    assert [f.severity for f in report.findings] == [severity]


class Beside(nn.Module):
    """A normalised number beside other columns of a table, which have no gradient."""

    def __init__(self, *, given: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Sequential(nn.Linear(4, 1), nn.LayerNorm(1))
        self.out, self.given = nn.Linear(4 if given else 1, 1), given

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x[:, :4])
        return self.out(torch.cat([first, x[:, 4:7]], 1) if self.given else first)


@pytest.mark.parametrize("given", [True, False])
def test_columns_that_are_joined_as_they_are_lead_past_single_numbers(given: bool) -> None:
    batch = torch.randn(64, 7), torch.randn(64, 1)
    report = unvanish.checkup(Beside(given=given), batch, loss=F.mse_loss, select=("UV103",))
    assert [f.severity for f in report.findings] == [Severity.NOTE if given else Severity.ERROR]


def test_a_branch_of_single_numbers_does_not_hide_a_collapse() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.deep, self.branch = network(12, nn.Sigmoid), nn.Linear(32, 1)
            self.norm = nn.LayerNorm(1)

        def forward(self, x: Tensor) -> Tensor:
            return self.deep(x + self.norm(self.branch(x)))

    report = unvanish.checkup(Both(), batch(), select=["UV103"])
    assert [f.severity for f in report.findings] == [Severity.ERROR, Severity.NOTE]


@pytest.mark.parametrize(("features", "found"), [(1, True), (8, False)])
def test_a_normalisation_of_single_numbers_in_front_of_everything(features, found):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.LayerNorm(features), nn.Linear(features, 16), nn.ReLU(), nn.Flatten(), nn.LazyLinear(1)
    )
    batch = (torch.randn(32, 6, features), torch.randn(32, 1))
    report = unvanish.checkup(model, batch, loss=nn.MSELoss())
    findings = [f for f in report.findings if f.code == "UV103"]
    assert bool(findings) is found
    if found:
        assert "it normalises single numbers" in findings[0].message


class Then(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def by_hand(x: Tensor) -> Tensor:
    centred = x - x.mean((2, 3), keepdim=True)
    return centred / torch.sqrt(x.var((2, 3), unbiased=False, keepdim=True) + 1e-5)


def over_space() -> nn.Module:
    return Then(lambda x: x.mean((2, 3)))


def of_maps(*steps: nn.Module) -> nn.Module:
    """Build a small classifier of images with some steps between its maps and its output."""
    torch.manual_seed(0)
    first, second = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, *steps, nn.Flatten(), nn.Linear(32, 4))


def of_tokens(*steps: nn.Module, width: int = 10) -> nn.Module:
    """Build a small classifier of ten tokens with some steps behind the token's features."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), *steps, nn.Linear(width, 4)
    )


def collapses(model: nn.Module, *shape: int, dtype: torch.dtype = torch.float32) -> list[Finding]:
    torch.manual_seed(0)
    inputs, target = torch.randn(16, *(shape or (3, 8, 8))).to(dtype), torch.randint(4, (16,))

    def loss(output: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(output.float(), target)

    report = unvanish.checkup(model.to(dtype), (inputs, target), loss=loss, select=("UV103",))
    return list(report.findings)


@pytest.mark.parametrize(
    ("steps", "place"),
    [
        ((nn.InstanceNorm2d(32), over_space()), "4 mean"),
        ((nn.InstanceNorm2d(32, affine=True), over_space()), "4 mean"),
        ((nn.InstanceNorm2d(32), nn.AdaptiveAvgPool2d(1)), "4 adaptive_avg_pool2d"),
        ((nn.InstanceNorm2d(32), Then(lambda x: F.adaptive_avg_pool2d(x, 1))), "4 adaptive"),
        ((nn.GroupNorm(32, 32), over_space()), "4 mean"),
        ((nn.GroupNorm(32, 32), nn.AvgPool2d(8)), "4 avg_pool2d"),
        ((Then(by_hand), over_space()), "4 mean"),
        ((nn.InstanceNorm2d(32), Then(lambda x: x.mean(3).mean(2))), "4 mean #1"),
        ((nn.InstanceNorm2d(32), Then(lambda x: 0.5 * x.flatten(2).sum(2))), "4 sum"),
        ((nn.InstanceNorm2d(32), nn.Conv2d(32, 32, 1), over_space()), "5 mean"),
    ],
    ids="mean affine pool functional channels avg_pool by_hand twice sum 1x1".split(),
)
def test_a_mean_of_what_was_just_normalised(steps: tuple[nn.Module, ...], place: str) -> None:
    (finding,) = collapses(of_maps(*steps))
    assert finding.severity is Severity.ERROR
    assert finding.causes == (Cause.NO_NORMALISATION,)
    assert finding.message.startswith(f"every sample looks the same behind {place}")
    assert "it averages what was just normalised over the same numbers" in finding.message
    assert finding.measured > 5.0 > finding.limit == 3.0
    assert "leads through it" in finding.notes[-1]
    assert "put the activation between" in finding.help[0]


@pytest.mark.parametrize(
    "steps",
    [
        (nn.InstanceNorm2d(32), nn.ReLU(), over_space()),
        (nn.BatchNorm2d(32), over_space()),
        (nn.GroupNorm(16, 32), nn.AdaptiveAvgPool2d(1)),
        (nn.GroupNorm(1, 32), over_space()),
        (Then(by_hand), Then(by_hand), nn.ReLU(), over_space()),
        (nn.InstanceNorm2d(32), Then(lambda x: x.square().mean((2, 3)))),
    ],
    ids="relu batch_norm pairs layer normalised_twice energy".split(),
)
def test_a_mean_over_other_numbers_than_those_normalised(steps: tuple[nn.Module, ...]) -> None:
    assert not collapses(of_maps(*steps))


def test_a_mean_of_the_tokens_or_of_their_features() -> None:
    tokens, features = Then(lambda x: x.mean(1)), Then(lambda x: x.mean(2))
    assert not collapses(of_tokens(nn.LayerNorm(32), tokens, width=32), 10, 8)
    plain = nn.LayerNorm(32, elementwise_affine=False)
    (finding,) = collapses(of_tokens(plain, features), 10, 8)
    assert finding.severity is Severity.ERROR
    (note,) = collapses(of_tokens(nn.LayerNorm(32), features), 10, 8)
    assert note.severity is Severity.NOTE
    assert "gains that differ within it" in note.notes[-1]


def test_a_mean_of_a_sequence_normalised_over_time() -> None:
    model = nn.Sequential(
        nn.Conv1d(10, 32, 3),
        nn.InstanceNorm1d(32),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(32, 4),
    )
    (finding,) = collapses(model, 10, 8)
    assert finding.severity is Severity.ERROR


def test_learned_biases_are_all_that_is_left_of_a_mean() -> None:
    norm = nn.InstanceNorm2d(32, affine=True)
    nn.init.normal_(norm.bias)
    (finding,) = collapses(of_maps(norm, over_space()))
    assert finding.severity is Severity.ERROR
    pairs = nn.GroupNorm(16, 32)
    nn.init.normal_(pairs.bias)
    assert not collapses(of_maps(pairs, over_space()))
    head = nn.Conv2d(32, 32, 1)  # one that starts at a prior and knows nothing yet
    nn.init.zeros_(head.weight)
    nn.init.constant_(head.bias, -4.6)
    assert not any(
        "averages" in f.message for f in collapses(of_maps(nn.GroupNorm(8, 32), head, over_space()))
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_mean_in_16_bits(dtype: torch.dtype) -> None:
    (finding,) = collapses(of_maps(nn.InstanceNorm2d(32), over_space()), dtype=dtype)
    assert finding.severity is Severity.ERROR
    assert finding.limit == 2.0
    assert not collapses(of_maps(nn.BatchNorm2d(32), over_space()), dtype=dtype)


def test_a_gate_from_the_mean_of_what_was_normalised_is_a_note() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 32, 3, padding=1), nn.InstanceNorm2d(32)
            self.gate, self.out = nn.Linear(32, 32), nn.Linear(32, 4)

        def forward(self, x: Tensor) -> Tensor:
            h = self.norm(self.conv(x))
            gate = torch.sigmoid(self.gate(h.mean((2, 3))))
            return self.out((h * gate[:, :, None, None]).relu().mean((2, 3)))

    (finding,) = collapses(Gated())
    assert finding.severity is Severity.NOTE
    assert "this one carries nothing" in finding.notes[-1]
