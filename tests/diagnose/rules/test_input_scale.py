"""UV503: data that enters far from mean 0 and standard deviation 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish import checkup
from unvanish.core.conditions import DataTensor, Optimizer, ProbeStep, RunContext
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.input_scale import InputScale
from unvanish.testing import recording_of

examine = InputScale().examine
SGD, ADAM = Optimizer(name="SGD", lr=0.01), Optimizer(name="AdamW", lr=1e-3)


def entered(
    *steps: str,
    rms: float = 1.0,
    offset: float = 0.1,
    spread: float = 1.0,
    saturated: float | None = None,
    optimizer: Optimizer = ADAM,
    steps_taken: tuple[ProbeStep, ...] = (),
    bias: float = 0.05,
) -> Recording:
    ops = steps or ("linear", "relu", "linear")
    none = [None] * (len(ops) - 1)
    recording = recording_of(
        *ops,
        profiles={
            Quantity.INPUT_RMS: [rms, *none],
            Quantity.INPUT_OFFSET: [offset, *none],
            Quantity.INPUT_FEATURE_SPREAD: [spread, *none],
            Quantity.SATURATED_FRACTION: [None, saturated, *none[1:]],
        },
        context=RunContext(batch_size=256, optimizer=optimizer),
    )
    parameters = [
        replace(p, rms=bias) if p.name.endswith("bias") else p for p in recording.parameters
    ]
    return replace(recording, steps=steps_taken, parameters=tuple(parameters))


def only(given: Verdict) -> Finding:
    assert isinstance(given, Found), given
    (finding,) = given.findings
    assert finding.causes == (Cause.INPUT_SCALE,)
    return finding


OVERSHOT = (ProbeStep(loss_before=2.0, loss_after=9.0),)


@pytest.mark.parametrize(
    ("settings", "severity"),
    [
        ({"offset": 40.0}, Severity.WARNING),
        ({"rms": 100.0}, Severity.NOTE),
        ({"rms": 1e4}, Severity.WARNING),
        ({"rms": 100.0, "optimizer": SGD}, Severity.NOTE),
        ({"rms": 100.0, "optimizer": SGD, "steps_taken": OVERSHOT}, Severity.WARNING),
        ({"spread": 100.0}, Severity.NOTE),
        ({"spread": 1e4}, Severity.WARNING),
        ({"rms": 1e-4, "bias": 0.1}, Severity.WARNING),
        ({"rms": 1e-3, "bias": 0.1, "optimizer": SGD}, Severity.WARNING),
    ],
)
def test_severity(settings: dict[str, Any], severity: Severity) -> None:
    assert only(examine(entered(**settings))).severity is severity


def test_what_saturates_cannot_be_served_by_an_optimiser() -> None:
    sick = entered("linear", "tanh", "linear", rms=100.0, saturated=0.9)
    assert only(examine(sick)).severity is Severity.WARNING


def test_clear_says_by_how_many_decades() -> None:
    verdict = examine(entered(rms=3.16))
    assert isinstance(verdict, Clear)
    assert verdict.margin == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("norm", ["layer_norm", "batch_norm", "group_norm", "rms_norm"])
def test_behind_a_normalisation_scale_is_harmless(norm: str) -> None:
    assert isinstance(examine(entered("linear", norm, "relu", "linear", rms=1e4)), Clear)


@pytest.mark.parametrize(("norm", "is_sick"), [("layer_norm", True), ("batch_norm", False)])
def test_only_centring_per_feature_removes_an_offset(norm: str, is_sick: bool) -> None:
    verdict = examine(entered("linear", norm, "relu", "linear", offset=100.0))
    assert isinstance(verdict, Found) is is_sick


def test_weights_that_take_the_scale_back() -> None:
    recording = entered(rms=255.0)
    small = Parameter(name="layers.0.weight", shape=(64, 64), rms=64**-0.5 / 255)
    parameters = (small, *recording.parameters[2:])
    assert isinstance(examine(replace(recording, parameters=parameters)), Clear)


def test_not_measured_and_not_applicable() -> None:
    bare = recording_of("linear", "relu", "linear")
    assert isinstance(examine(bare), NotMeasured)
    tokens = replace(bare, data=(DataTensor(name="input", dtype="int64"),))
    assert isinstance(examine(tokens), NotApplicable)


# --- real networks -------------------------------------------------------------------


class Begin(nn.Module):
    """Two layers behind whatever is done to the input first."""

    def __init__(
        self, change: Callable[[Tensor], Tensor], *between: nn.Module, features: int = 16
    ) -> None:
        super().__init__()
        self.change = change
        self.body = nn.Sequential(nn.Linear(features, 32), *between, nn.ReLU(), nn.Linear(32, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.change(x))


def table(batch: int = 64) -> Tensor:
    return torch.randn(batch, 16, generator=torch.Generator().manual_seed(0))


def verdict(net: nn.Module, x: Any, **options: Any) -> Verdict:
    y = torch.arange(len(x if isinstance(x, Tensor) else x[0])) % 5
    report = checkup(net, (x, y), loss="cross_entropy", select=["UV503"], **options)
    return report.diagnosis.verdicts["UV503"]


def same(x: Tensor) -> Tensor:
    return x


def test_an_offset() -> None:
    finding = only(verdict(Begin(same), table() + 100))
    assert finding.measured == pytest.approx(100.0, rel=0.05)
    assert finding.severity is Severity.WARNING
    assert isinstance(verdict(Begin(same), table() + 10), Clear)


def test_what_enters_is_measured_and_not_what_was_given() -> None:
    assert isinstance(verdict(Begin(lambda x: x / 255), 255 * table()), Clear)
    assert isinstance(verdict(Begin(lambda x: x * 1.0), 255 * table()), Found)
    assert isinstance(verdict(Begin(lambda x: (x - 100) / 2), 2 * table() + 100), Clear)


def test_pixels_that_were_divided_twice() -> None:
    def slow(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=0.1)

    finding = only(verdict(Begin(lambda x: x / 255), table() / 255, optimizer=slow))
    assert finding.severity is Severity.WARNING
    assert finding.unit == "times the share of the data"


def test_one_column_in_another_unit() -> None:
    x = table()
    x[:, 3] *= 1e5
    finding = only(verdict(Begin(same), x))
    assert finding.severity is Severity.WARNING


def test_a_residual_stream_that_drowns_its_branches() -> None:
    class Stream(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Linear(16, 32), nn.LayerNorm(32)
            self.branch = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 32), nn.GELU())
            self.head = nn.Linear(32, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            return self.head(self.norm(x + self.branch(x)))

    assert only(verdict(Stream(), 130 * table())).severity is Severity.WARNING
    assert isinstance(verdict(Stream(), table()), Clear)


class RootMeanSquare(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


@pytest.mark.parametrize(
    ("net", "x"),
    [
        (Begin(same, nn.BatchNorm1d(32)), 1e4 * table()),
        (Begin(same, nn.LayerNorm(32)), 1e4 * table()),
        (Begin(same, RootMeanSquare()), 1e4 * table()),
        (nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, 5)), 1e4 * table()),
        (Begin(lambda x: torch.cat([x.sin(), x.cos()], 1), features=32), 1e4 * table()),
        (Begin(same), torch.ones(64, 16)),
        (Begin(same), torch.full((64, 16), 500.0)),
        (Begin(same), F.one_hot(torch.arange(64) % 16).float()),
        (Begin(same), (table() > 1.5).float() * torch.linspace(1, 60, 16)),
        (Begin(same), table(2)),
        (Begin(same), torch.rand(64, 16)),
    ],
    ids=[
        "batch norm",
        "layer norm",
        "norm by hand",
        "norm first",
        "sinusoidal",
        "ones",
        "constant",
        "one-hot",
        "word counts",
        "two samples",
        "uniform",
    ],
)
def test_healthy_inputs(net: nn.Module, x: Tensor) -> None:
    assert not isinstance(verdict(net, x), Found)


def test_tokens_are_looked_up() -> None:
    net = nn.Sequential(nn.Embedding(50_000, 8), nn.Flatten(), nn.Linear(24, 5))
    assert isinstance(verdict(net, torch.randint(0, 50_000, (64, 3))), NotApplicable)


def test_columns_that_are_split_off_are_judged_by_themselves() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Embedding(1000, 8), nn.Linear(8 + 15, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.cat([self.embed(x[:, 0].long()), x[:, 1:]], 1))

    x = table()
    x[:, 0] = torch.randint(0, 1000, (64,))
    assert not isinstance(verdict(Mixed(), x), Found)


def test_an_adjacency_matrix_is_no_input_of_a_layer() -> None:
    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(16, 32), nn.Linear(32, 5)

        def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
            return self.head(F.relu(adjacency @ self.first(x)))

    adjacency = 1000 * (torch.rand(64, 64) > 0.9).float()
    assert isinstance(verdict(Graph(), (table(), adjacency)), Clear)


def test_a_recurrent_layer_is_compared_with_its_own_start() -> None:
    """One input among 128 units: the weights are small, and take no scale back by that."""
    recording = entered("linear", "tanh", "linear", rms=300.0)
    first = replace(recording.sites[0], function="lstm")
    sites = (first, *recording.sites[1:])
    weight = next(p for p in recording.parameters if p.name == first.weights[0])
    small = replace(weight, shape=(512, 1), rms=(3.0 * 128) ** -0.5)
    parameters = tuple(small if p is weight else p for p in recording.parameters)
    finding = only(examine(replace(recording, sites=sites, parameters=parameters)))
    assert finding.measured == pytest.approx(300.0)
