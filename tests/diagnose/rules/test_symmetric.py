"""UV104: equal units that stay equal, zeros that never open, and starts that only look so."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import unvanish
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Parameter, Recording, Site
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.symmetric import SymmetricOrZeroInit
from unvanish.observe import trace
from unvanish.testing import recording_of

examine = SymmetricOrZeroInit().examine
GRADS = Quantity.LOG10_ACTIVATION_GRAD_RMS


def only(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    return finding


def hidden(
    before: float,
    after: float | None,
    *,
    moved: float = 0.1,
    bias: tuple[float, float] | None = None,
    **settings: Any,
) -> Recording:
    """Build a hidden layer; `before` and `after` the steps, that share of its units differs."""

    def look(share: float, rms: float, own: float | None, later: Recording | None) -> Recording:
        weight = Parameter(
            name="layers.0.weight", shape=(64, 32), rms=rms, distinct_fraction=share, **settings
        )
        parameters = [weight]
        used = ("layers.0.weight",)
        if own is not None:
            parameters.append(
                Parameter(name="layers.0.bias", shape=(64,), rms=0.1, distinct_fraction=own)
            )
            used = (*used, "layers.0.bias")
        linear = Site(index=0, path="layers.0", op="linear", depth=1, weights=used)
        return recording_of(
            linear,
            "relu",
            "linear",
            profiles={GRADS: [-2.0] * 3},
            parameters=parameters,
            later=later,
        )

    first, second = bias or (None, None)
    later = None if after is None else look(after, 0.1 * (1 + moved), second, None)
    return look(before, 0.1, first, later)


def test_equal_units_that_stay_equal() -> None:
    finding = only(examine(hidden(1 / 64, 1 / 64)))
    assert finding.severity is Severity.ERROR
    assert finding.causes == (Cause.ZERO_INIT,)
    assert "the 64 units of layers.0 linear start equal and stay equal, worth 1" in finding.message
    assert finding.parameters == ("layers.0.weight",)


@pytest.mark.parametrize(
    "recording",
    [
        hidden(1.0, 1.0),
        hidden(0.6, 0.6),
        hidden(1 / 64, 1.0),
        hidden(1 / 64, 1 / 64, bias=(1 / 64, 1.0)),
        hidden(math.nan, 1.0, requires_grad=False),
    ],
    ids=["ordinary", "a few copies", "part", "biases part", "frozen"],
)
def test_units_that_differ_or_part_are_clear(recording: Recording) -> None:
    assert not isinstance(examine(recording), Found)


def test_biases_alone_that_differ_are_a_warning() -> None:
    verdict = examine(hidden(1 / 64, 1 / 64, bias=(1.0, 1.0)))
    assert isinstance(verdict, Found)
    assert [f.severity for f in verdict.findings] == [Severity.WARNING]


def test_steps_that_move_nothing_cannot_tell() -> None:
    verdict = examine(hidden(1 / 64, 1 / 64, moved=1e-6))
    assert isinstance(verdict, NotMeasured)
    assert "whether the units of layers.0 linear" in verdict.missing
    assert isinstance(examine(hidden(1 / 64, None)), NotMeasured)
    assert isinstance(examine(hidden(math.nan, math.nan)), NotMeasured)


def test_one_layer_of_many_is_a_warning() -> None:
    recording = hidden(1 / 64, 1 / 64)
    others = tuple(
        Site(index=3 + i, path=f"wide.{i}", op="linear", depth=2, weights=(f"wide.{i}.weight",))
        for i in range(3)
    )
    ordinary = tuple(
        Parameter(name=f"wide.{i}.weight", shape=(64, 64), rms=0.1, distinct_fraction=1.0)
        for i in range(3)
    )
    wide = replace(
        recording,
        sites=(*recording.sites, *others),
        parameters=(*recording.parameters, *ordinary),
    )
    assert only(examine(wide)).severity is Severity.WARNING


def pair(
    *,
    gradient: float = -math.inf,
    requires_grad: bool = True,
    later: Recording | None = None,
    starved: bool = True,
) -> Recording:
    """Build x A B with B = 0; A gets no gradient, and B the given one."""
    a, b = (
        Parameter(
            name=name,
            shape=(8, 8),
            rms=rms,
            log10_grad_rms=log10,
            requires_grad=trained,
            distinct_fraction=1.0 if rms else math.nan,
        )
        for name, rms, log10, trained in (
            ("lora.A", 0.1, -math.inf if starved else -2.0, True),
            ("lora.weight", 0.0, gradient, requires_grad),
        )
    )
    down, up = (
        Site(index=i, path="lora", op="matmul", depth=i + 1, weights=(name,))
        for i, name in enumerate(("lora.A", "lora.weight" if requires_grad else ""))
    )
    recording = recording_of(
        down,
        replace(up, weights=tuple(filter(None, up.weights))),
        "relu",
        "linear",
        profiles={GRADS: [-math.inf, -2.0, -2.0, -2.0]},
        parameters=[a, b],
        later=later,
    )
    edges = tuple(
        Edge(i, i + 1, -math.inf if i == 0 else 0.0) for i in range(len(recording.sites) - 1)
    )
    return replace(recording, edges=edges)


def test_two_zeros_that_wait_for_each_other() -> None:
    finding = only(examine(pair()))
    assert finding.severity is Severity.ERROR
    assert finding.message.startswith("lora.weight is zero and so is what it is multiplied with")
    assert finding.parameters == ("lora.weight", "lora.A")
    assert finding.measured == 1.0


def test_a_frozen_zero_is_a_warning() -> None:
    finding = only(examine(pair(requires_grad=False, gradient=math.nan)))
    assert finding.severity is Severity.WARNING
    assert "lora.weight is zero and frozen" in finding.message


@pytest.mark.parametrize(
    "recording",
    [
        pair(gradient=-2.0),
        pair(later=pair(starved=False)),
        pair(later=pair(gradient=-3.0)),
        pair(starved=False),
    ],
    ids=["opens", "behind it lives later", "opens later", "nobody starves"],
)
def test_a_zero_that_opens_is_clear(recording: Recording) -> None:
    assert isinstance(examine(recording), Clear)


def test_what_does_not_apply() -> None:
    vector = Parameter(name="w", shape=(8,))
    assert isinstance(examine(recording_of("linear", parameters=[vector])), NotApplicable)


class Adapters(nn.Module):
    """A frozen network with a low-rank correction, its two factors started as given."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.base = nn.Linear(16, 16).requires_grad_(False)
        self.head = nn.Linear(16, 4)
        self.a = nn.Parameter(a * torch.randn(4, 16))
        self.b = nn.Parameter(b * torch.randn(16, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.base(x) + x @ self.a.T @ self.b.T))


class Gate(nn.Module):
    """A residual branch behind a factor that starts at zero."""

    def __init__(self, *, frozen: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.branch, self.head = nn.Linear(16, 16), nn.Linear(16, 4)
        self.gate = nn.Parameter(torch.zeros(16), requires_grad=not frozen)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x + self.gate * torch.relu(self.branch(x)))


def mlp(
    fill: Callable[[Tensor], Any] | None = None, *, act: type[nn.Module] = nn.ReLU
) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), act(), nn.Linear(32, 32), act(), nn.Linear(32, 4))
    if fill is not None:
        for parameter in list(model.parameters())[:-2]:
            fill(parameter)
    return model


def verdict_on(model: nn.Module, **settings: Any) -> Verdict:
    torch.manual_seed(1)
    batch = torch.randn(32, 16), torch.randint(0, 4, (32,))
    report = unvanish.checkup(model, batch, select=["UV104"], **settings)
    return report.diagnosis.verdicts["UV104"]


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9)


@pytest.mark.parametrize("optimizer", [None, sgd], ids=["adamw", "sgd"])
@pytest.mark.parametrize("act", [nn.ReLU, nn.Tanh])
def test_a_network_of_constants_is_found(act: type[nn.Module], optimizer: Any) -> None:
    model = mlp(lambda p: nn.init.constant_(p, 0.02), act=act)
    finding = only(verdict_on(model, optimizer=optimizer))
    assert finding.severity is Severity.ERROR
    assert finding.sites[0].path == "0"


@pytest.mark.parametrize("act", [nn.ReLU, nn.Tanh])
def test_a_network_of_zeros_is_found(act: type[nn.Module]) -> None:
    finding = only(verdict_on(mlp(nn.init.zeros_, act=act)))
    assert finding.severity is Severity.ERROR
    assert "is zero and so is what it is multiplied with" in finding.message


def test_adapters_need_one_factor_that_is_not_zero() -> None:
    assert only(verdict_on(Adapters(0.0, 0.0))).parameters == ("b", "a")
    assert isinstance(verdict_on(Adapters(1.0, 0.0)), Clear)
    assert isinstance(verdict_on(Adapters(0.0, 1.0)), Clear)


class TwoFactors(nn.Module):
    """A branch with two factors of zero, one behind the other."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.head = nn.Linear(16, 16), nn.Linear(16, 4)
        self.inner, self.outer = (nn.Parameter(torch.zeros(16)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x + self.outer * (self.inner * torch.tanh(self.layer(x))))


def test_the_zero_that_is_to_be_drawn_is_the_one_before() -> None:
    finding = only(verdict_on(TwoFactors()))
    assert finding.message.startswith("outer is zero and so is what it is multiplied with")
    assert "normal_(inner, std=0.02)" in finding.help[0]


def test_a_gate_at_zero_has_to_be_trained() -> None:
    assert only(verdict_on(Gate(frozen=True))).severity is Severity.WARNING
    assert isinstance(verdict_on(Gate(frozen=False)), Clear)


class QueryKey(nn.Module):
    """Attention over four tokens whose queries and keys start at zero, or one of them."""

    def __init__(self, *zeros: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.query, self.key, self.value = (nn.Linear(4, 8) for _ in range(3))
        self.head = nn.Linear(8, 4)
        for name in zeros:
            for parameter in getattr(self, name).parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(len(x), 4, 4)
        weights = (self.query(x) @ self.key(x).mT / 8**0.5).softmax(-1)
        return self.head((weights @ self.value(x)).mean(1))


def test_queries_and_keys_that_are_both_zero_wait_for_each_other() -> None:
    finding = only(verdict_on(QueryKey("query", "key")))
    assert finding.severity is Severity.ERROR
    assert finding.parameters[:2] == ("query.weight", "key.weight")
    assert "normal_(key.weight" in finding.help[0]
    assert isinstance(verdict_on(QueryKey("query")), Clear)
    assert isinstance(verdict_on(QueryKey("key")), Clear)


class OnTheRight(nn.Module):
    """Two layers written as ``x @ W``, whose units are columns."""

    def __init__(self, start: Callable[[Tensor], object], width: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Parameter(torch.empty(16, width))
        self.second = nn.Parameter(torch.empty(width, 4))
        for weight in (self.first, self.second):
            start(weight)

    def forward(self, x: Tensor) -> Tensor:
        return (x @ self.first).relu() @ self.second


@pytest.mark.parametrize("width", [16, 24])
def test_equal_columns_are_found_where_weights_stand_on_the_right(width: int) -> None:
    finding = only(verdict_on(OnTheRight(lambda w: nn.init.constant_(w, 0.1), width)))
    assert finding.message.startswith(f"the {width} units of (root) matmul start equal")
    assert isinstance(verdict_on(OnTheRight(nn.init.xavier_normal_, width)), Clear)


def test_a_matrix_of_equal_rows_on_the_right_has_units_that_differ() -> None:
    def rows(weight: Tensor) -> None:
        nn.init.normal_(weight)
        weight.data.copy_(weight.data[:1].expand_as(weight))

    assert isinstance(verdict_on(OnTheRight(rows, 24)), Clear)


def depthwise() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Unflatten(1, (4, 2, 2)),
        nn.Conv2d(4, 4, 1, groups=4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16, 4),
    )
    nn.init.ones_(model[1].weight)
    nn.init.zeros_(model[1].bias)
    return model


def one_unit() -> nn.Module:
    model = nn.Sequential(nn.Linear(16, 1), nn.Tanh(), nn.Linear(1, 4))
    nn.init.constant_(model[0].weight, 0.1)
    return model


def zero_head() -> nn.Module:
    model = mlp()
    nn.init.zeros_(model[-1].weight)
    return model


def pruned() -> nn.Module:
    model = mlp()
    with torch.no_grad():
        model[0].weight[8:] = 0.0
    return model


def half_dropped() -> nn.Module:
    model = mlp(lambda p: nn.init.constant_(p, 0.02))
    return nn.Sequential(nn.Dropout(0.5), *model[:2], nn.Dropout(0.5), *model[2:])


@pytest.mark.parametrize(
    "make", [mlp, depthwise, one_unit, zero_head, pruned], ids=lambda make: make.__name__
)
def test_healthy_starts_are_clear(make: Callable[[], nn.Module]) -> None:
    assert isinstance(verdict_on(make()), Clear)


def test_dropout_parts_equal_units() -> None:
    verdict = verdict_on(half_dropped())
    assert isinstance(verdict, Clear)
    assert "part within a few optimiser steps" in verdict.summary


class Mixture(nn.Module):
    """Experts side by side and a router that starts even."""

    def __init__(self, *, copied: bool, shift: float = 0.0, router: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        first = mlp()
        self.experts = nn.ModuleList(deepcopy(first) if copied else mlp() for _ in range(4))
        if not copied:
            for expert in self.experts:
                for layer in (expert[0], expert[2]):
                    nn.init.normal_(layer.weight, std=0.2)
        self.router = nn.Linear(16, 4)
        nn.init.normal_(self.router.weight, std=router) if router else nn.init.zeros_(
            self.router.weight
        )
        nn.init.zeros_(self.router.bias)
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        answers = [expert(x + self.shift * k) for k, expert in enumerate(self.experts)]
        shares = self.router(x).softmax(-1)
        return (shares[..., None] * torch.stack(answers, 1)).sum(1)


@pytest.mark.parametrize("optimizer", [None, sgd], ids=["adamw", "sgd"])
def test_copies_of_one_expert_stay_equal_behind_an_even_router(optimizer: Any) -> None:
    verdict = verdict_on(Mixture(copied=True), optimizer=optimizer)
    assert isinstance(verdict, Found)
    (finding,) = (one for one in verdict.findings if "worth 1" in one.message)
    assert finding.severity is Severity.WARNING
    assert finding.measured == 1 / 4
    assert "experts.0.0.weight to experts.3.0.weight" in finding.message
    assert len(finding.parameters) == 12


@pytest.mark.parametrize(
    "model",
    [
        lambda: Mixture(copied=False),
        lambda: Mixture(copied=True, router=0.5),
        lambda: Mixture(copied=True, shift=1.0),
    ],
    ids=["drawn", "router drawn", "inputs differ"],
)
def test_experts_that_differ_or_part_are_clear(model: Callable[[], nn.Module]) -> None:
    assert isinstance(verdict_on(model()), Clear)


class Blocks(nn.Module):
    """Residual branches of two layers and a head, any of which may start at zero."""

    def __init__(self, *zero: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.up = nn.ModuleList(nn.Linear(16, 16) for _ in range(2))
        self.down = nn.ModuleList(nn.Linear(16, 16) for _ in range(2))
        self.head = nn.Linear(16, 4)
        for name, parameter in self.named_parameters():
            if name.startswith(zero):
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        for up, down in zip(self.up, self.down, strict=True):
            x = x + down(torch.relu(up(x)))
        return self.head(x)


def test_zeros_that_wait_for_each_other_behind_a_head_of_zeros_are_found() -> None:
    finding = only(verdict_on(Blocks("up", "down", "head")))
    assert finding.severity is Severity.ERROR
    assert {"down.0.weight", "down.1.weight"} <= set(finding.parameters)
    assert "head.weight" not in finding.parameters
    assert "torch.nn.init.normal_(up." in finding.help[0]


@pytest.mark.parametrize("zero", [("head",), ("down",), ("down", "head")], ids=repr)
def test_a_head_of_zeros_and_branches_that_start_at_zero_open(zero: tuple[str, ...]) -> None:
    assert isinstance(verdict_on(Blocks(*zero)), Clear)


class Density(nn.Module):
    """Gaussians of one width around some centres; the loss is the negative log likelihood."""

    def __init__(self, centres: Tensor) -> None:
        super().__init__()
        self.centres = nn.Parameter(centres)
        self.log_width = nn.Parameter(torch.zeros(len(centres), 4))

    def forward(self, x: Tensor) -> Tensor:
        z = (x[:, None] - self.centres) / self.log_width.exp()
        return -torch.logsumexp(-0.5 * z.square().sum(-1) - self.log_width.sum(-1), 1)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize(
    ("centres", "sick"),
    [
        (torch.zeros(3, 4), True),
        (torch.full((5, 4), 0.7), True),
        (torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), False),
    ],
)
def test_components_of_a_mixture(name: str, centres: Tensor, sick: bool) -> None:
    torch.manual_seed(0)
    model = Density(centres.clone())
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.02)
    report = unvanish.checkup(
        model,
        (torch.randn(64, 4) + 0.5, torch.zeros(64)),
        loss=lambda output, _: output.mean(),
        optimizer=optimizer,
        select=("UV104",),
    )
    assert [f.severity for f in report.findings] == [Severity.ERROR] * sick
    if sick:
        (finding,) = report.findings
        assert set(finding.parameters) == {"centres", "log_width"}
        assert finding.measured == pytest.approx(1 / len(centres))


def test_rows_of_a_parameter_that_part() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.out = nn.Linear(8, 16), nn.Linear(16, 4)
            self.positions = nn.Parameter(torch.zeros(12, 16))
            self.scale = nn.Parameter(torch.ones(16, 1))
            self.shifts = nn.Parameter(torch.zeros(2, 16))

        def forward(self, x: Tensor) -> Tensor:
            h = (self.embed(x) + self.positions).relu().transpose(1, 2) * self.scale
            return self.out(h.mean(2) + self.shifts[0] + self.shifts[1])

    batch = torch.randn(32, 12, 8), torch.randint(4, (32,))
    report = unvanish.checkup(
        Positions(), batch, loss=nn.functional.cross_entropy, select=("UV104",)
    )
    assert not report.findings


@pytest.mark.parametrize("name", ["SGD", "AdamW", "Adam"])
@pytest.mark.parametrize("reached", [True, False])
def test_what_decay_alone_moves_says_nothing(name: str, reached: bool) -> None:
    """A softmax over one token is 1 whatever its scores: their scale gets no gradient."""

    class Scores(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.out = nn.Linear(8, 16), nn.Linear(16, 4)
            self.scale = nn.Parameter(torch.ones(4, 1, 4))

        def forward(self, x: Tensor) -> Tensor:
            h = self.embed(x).unflatten(2, (4, 4)).transpose(1, 2)
            if reached:  # every head reads the same
                h = h[:, :1].expand(-1, 4, -1, -1)
                return self.out((h * self.scale).sum(1).repeat(1, 1, 4).mean(1))
            weights = ((h * self.scale) @ h.mT).softmax(-1)
            return self.out((weights @ h).transpose(1, 2).flatten(2).mean(1))

    torch.manual_seed(0)
    model = Scores()
    batch = torch.randn(32, 3 if reached else 1, 8), torch.randint(4, (32,))
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.01, weight_decay=0.01)
    report = unvanish.checkup(
        model, batch, loss=nn.functional.cross_entropy, optimizer=optimizer, select=("UV104",)
    )
    assert [f.severity for f in report.findings] == [Severity.WARNING] * reached


class Heads(nn.Module):
    """Attention over cosines with a scale for each head."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.embed, self.out = nn.Linear(8, 48), nn.Linear(16, 4)
        self.scale, self.heads = nn.Parameter(torch.full((heads, 1, 1), 2.3)), heads

    def forward(self, x: Tensor) -> Tensor:
        parts = self.embed(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = nn.functional.normalize(parts[:2], dim=-1)
        weights = (q @ k.mT * self.scale.exp()).softmax(-1)
        return self.out((weights @ parts[2]).transpose(1, 2).flatten(2).mean(1))


@pytest.mark.parametrize("seed", [3, 7, 9, 11])
def test_scales_of_heads_take_equal_steps_of_adam_by_chance(seed: int) -> None:
    torch.manual_seed(seed)
    model = Heads(4)
    batch = torch.randn(64, 6, 8), torch.randint(4, (64,))
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-5)
    report = unvanish.checkup(
        model, batch, loss=nn.functional.cross_entropy, optimizer=optimizer, select=("UV104",)
    )
    assert not report.findings


@pytest.mark.parametrize(
    ("name", "parts", "sick"),
    [
        ("SGD", 3, True),
        ("Adam", 8, True),
        ("Adam", 3, False),
    ],
)
def test_components_of_one_number_each(name: str, parts: int, sick: bool) -> None:
    """Eight equal centres of one number cannot have moved alike by chance, and three can."""

    class Centres(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.centres = nn.Parameter(torch.full((parts, 1), 0.5))

        def forward(self, x: Tensor) -> Tensor:
            return -torch.logsumexp(-0.5 * (x[:, None] - self.centres).square().sum(-1), 1)

    torch.manual_seed(0)
    model = Centres()
    optimizer = getattr(torch.optim, name)(model.parameters(), lr=0.02)
    report = unvanish.checkup(
        model,
        (torch.randn(64, 1), torch.zeros(64)),
        loss=lambda output, _: output.mean(),
        optimizer=optimizer,
        select=("UV104",),
    )
    assert len(report.findings) == sick


@pytest.mark.parametrize(
    ("start", "found"), [("constant", True), ("random", False), ("zero", False)]
)
def test_units_that_differ_by_their_biases_alone(start, found) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3)
    )
    for layer in (model[0], model[2]):
        if start != "random":
            nn.init.constant_(layer.weight, 0.1 if start == "constant" else 0.0)
    batch = torch.randn(32, 8), torch.randint(0, 3, (32,))
    recording = trace(
        model,
        batch,
        "cross_entropy",
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=1e-3),
    )
    verdict = SymmetricOrZeroInit().examine(recording)
    findings = verdict.findings if isinstance(verdict, Found) else ()
    assert any("differ by their biases alone" in f.message for f in findings) is found
