"""UV506: regression targets far from where the output starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish import checkup
from unvanish.core.conditions import DataRole, DataTensor, Optimizer, ProbeStep, RunContext
from unvanish.core.findings import Cause, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Role, Site
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.target_scale import TargetScale
from unvanish.testing import recording_of

examine = TargetScale().examine


def aimed(
    mean: float,
    std: float,
    *,
    optimizer: Optimizer | None = None,
    given: bool = True,
    output: float = 0.0,
) -> Recording:
    loss = Site(index=1, path="", op="mse_loss", function="mse_loss", role=Role.LOSS)
    target = DataTensor(
        name="target", role=DataRole.TARGET, shape=(256, 64), mean=mean, std=std, site=1
    )
    recording = recording_of(
        "linear",
        loss,
        profiles={
            Quantity.ACTIVATION_RMS: [abs(output) + 0.5, None],
            Quantity.ACTIVATION_MEAN: [output, None],
        },
        parameters=[Parameter(name="w", in_optimizer=True if given else None)],
        context=RunContext(batch_size=256, optimizer=optimizer or Optimizer(name="Adam", lr=1e-3)),
    )
    return replace(recording, data=(target,))


@pytest.mark.parametrize(
    ("mean", "std", "severity"),
    [
        (40.0, 1.0, Severity.NOTE),
        (1100.0, 1.0, Severity.WARNING),
        (0.0, 2e3, Severity.NOTE),
        (0.0, 2e6, Severity.WARNING),
    ],
)
def test_severity(mean: float, std: float, severity: Severity) -> None:
    verdict = examine(aimed(mean, std))
    assert isinstance(verdict, Found)
    assert verdict.findings[0].severity is severity
    assert verdict.findings[0].causes[0] is Cause.INPUT_SCALE


def test_an_assumed_optimiser_condemns_nobody() -> None:
    verdict = examine(aimed(1e5, 1.0, given=False))
    assert isinstance(verdict, Found)
    assert verdict.findings[0].severity is Severity.NOTE


@pytest.mark.parametrize(
    ("optimizer", "severity"),
    [
        (Optimizer(name="SGD", lr=0.1), Severity.NOTE),
        (Optimizer(name="SGD", lr=0.1, clip_grad_norm=1.0), Severity.WARNING),
    ],
)
def test_steps_that_grow_with_the_error_may_reach_any_size(
    optimizer: Optimizer, severity: Severity
) -> None:
    verdict = examine(aimed(0.0, 1e7, optimizer=optimizer))
    assert isinstance(verdict, Found)
    assert verdict.findings[0].severity is severity


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (20.0, 1.0), (0.0, 500.0), (7.0, 0.0)])
def test_targets_within_reach(mean: float, std: float) -> None:
    assert not isinstance(examine(aimed(mean, std)), Found)


def test_an_output_that_lies_far_out_is_not_the_targets_fault() -> None:
    assert isinstance(examine(aimed(0.0, 1.0, output=1e5)), Clear)


def test_a_bias_that_starts_at_the_mean() -> None:
    assert isinstance(examine(aimed(1e5, 1.0, output=1e5)), Clear)


def test_the_pace_is_told() -> None:
    step = ProbeStep(loss_before=1000.0, loss_after=999.0)
    verdict = examine(replace(aimed(100.0, 1.0), steps=(step,)))
    assert isinstance(verdict, Found)
    assert "a probe step lowers the loss by 0.1 %" in verdict.findings[0].notes


def test_not_measured() -> None:
    assert isinstance(examine(recording_of("linear")), NotMeasured)


# --- real networks -------------------------------------------------------------------


def check(
    target: Tensor, loss: Callable[..., Tensor] | None = F.mse_loss, **options: Any
) -> Verdict:
    torch.manual_seed(0)
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    report = checkup(net, (x, target), loss=loss, select=["UV506"], **options)
    return report.diagnosis.verdicts["UV506"]


NORMAL = torch.randn(64, 1, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "loss",
    [
        None,
        F.mse_loss,
        F.l1_loss,
        F.smooth_l1_loss,
        F.huber_loss,
        lambda o, t: (o - t).abs().mean(),
        lambda o, t: F.mse_loss(o[:, 0], t.squeeze(1)),
    ],
)
def test_every_way_to_write_a_regression(loss: Callable[..., Tensor] | None) -> None:
    def adam(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(model.parameters(), lr=1e-3)

    verdict = check(NORMAL + 2000, loss, optimizer=adam)
    assert isinstance(verdict, Found)
    assert verdict.findings[0].severity is Severity.WARNING
    assert verdict.findings[0].measured == pytest.approx(2000, rel=0.2)
    assert isinstance(check(NORMAL + 3, loss), Clear)


def test_a_loss_that_standardises_for_itself() -> None:
    verdict = check(NORMAL + 2000, lambda o, t: F.mse_loss(o, t - 2000))
    assert isinstance(verdict, NotApplicable)


def test_classes_are_no_regression() -> None:
    verdict = check((NORMAL > 0).float(), F.binary_cross_entropy_with_logits)
    assert isinstance(verdict, NotApplicable)


def grown(*widths: int, target: float, act: type[nn.Module] = nn.ReLU, lr: float = 1e-3) -> Verdict:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), act()]
    net = nn.Sequential(*layers[:-1])
    x = torch.randn(256, widths[0])
    batch = (x, target * torch.sin(2 * x[:, :1]))
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    report = checkup(net, batch, loss=F.mse_loss, optimizer=optimizer, select=["UV506"])
    return report.diagnosis.verdicts["UV506"]


@pytest.mark.parametrize(
    ("widths", "target", "act", "lr", "severity"),
    [
        ((8, 1), 1e4, nn.ReLU, 1e-3, Severity.WARNING),
        ((8, 1), 1e4, nn.ReLU, 1.0, Severity.NOTE),
        ((8, 64, 1), 3e5, nn.ReLU, 1e-3, Severity.WARNING),
        ((8, 64, 1), 1e4, nn.ReLU, 1e-3, Severity.WARNING),
        ((8, 64, 1), 1e4, nn.ReLU, 1e-2, Severity.NOTE),
        ((8, 64, 64, 1), 1e5, nn.ReLU, 1e-3, Severity.WARNING),
        ((8, 64, 64, 1), 1e4, nn.ReLU, 1e-3, Severity.NOTE),
        ((8, 64, 64, 1), 1e5, nn.Tanh, 1e-3, Severity.WARNING),
    ],
)
def test_the_steps_it_takes_to_grow_decide(
    widths: tuple[int, ...], target: float, act: type[nn.Module], lr: float, severity: Severity
) -> None:
    verdict = grown(*widths, target=target, act=act, lr=lr)
    assert isinstance(verdict, Found)
    assert verdict.findings[0].severity is severity
    assert "steps of fixed size take" in verdict.findings[0].notes[1]


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.label, self.price = nn.Linear(8, 16), nn.Linear(16, 1), nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x).relu()
        return torch.cat([self.label(h), self.price(h)], dim=1)


def both(output: Tensor, target: Tensor) -> Tensor:
    label = F.binary_cross_entropy_with_logits(output[:, 0], target[:, 0])
    return label + F.mse_loss(output[:, 1], target[:, 1])


@pytest.mark.parametrize(("size", "found"), [(500.0, True), (5.0, False)])
def test_one_task_takes_all_the_steps(size: float, found: bool) -> None:
    def clipped(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(model.parameters(), lr=1e-3)

    torch.manual_seed(0)
    target = torch.stack([torch.rand(64).round(), size * (1 + torch.randn(64))], dim=1)
    batch = (torch.randn(64, 8), target)
    verdict = checkup(
        TwoHeads(), batch, loss=both, optimizer=clipped, select=["UV506"]
    ).diagnosis.verdicts["UV506"]
    assert isinstance(verdict, Found if found else Clear)
    if isinstance(verdict, Found):
        (finding,) = verdict.findings
        assert finding.severity is Severity.WARNING
        assert "times binary_cross_entropy_with_logits" in finding.message
        assert finding.sites[0].path == "price"


def test_a_column_of_the_target_is_a_target() -> None:
    def chosen(output: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(output.gather(1, target[:, :1].long()).squeeze(1), target[:, 1])

    def adam(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(model.parameters(), lr=1e-4)

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    target = torch.stack([torch.randint(4, (64,)).float(), 1e5 * torch.randn(64)], dim=1)
    batch = (torch.randn(64, 8), target)
    report = checkup(net, batch, loss=chosen, optimizer=adam, select=["UV506"])
    verdict = report.diagnosis.verdicts["UV506"]
    assert isinstance(verdict, Found)
    assert "the target (part " in verdict.findings[0].message
