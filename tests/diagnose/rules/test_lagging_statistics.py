"""UV509: running statistics that do not describe what a network meets in evaluation mode."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unvanish import checkup, trace
from unvanish.core.codec import decode_recording, encode_recording
from unvanish.core.conditions import RunContext
from unvanish.core.findings import Finding, Severity
from unvanish.core.records import Recording
from unvanish.core.running_statistics import RunningStatistics
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.rules.lagging_statistics import LaggingStatistics
from unvanish.testing import recording_of


def kept(training: bool = True, **known: Any) -> Recording:
    """Build a recording of a network with one normalisation."""
    recording = recording_of("linear", "batch_norm", "relu", context=RunContext(training=training))
    return replace(recording, running_statistics=(RunningStatistics(site=1, **known),))


def examine(recording: Recording) -> Verdict:
    return LaggingStatistics().examine(recording)


def only(verdict: Verdict) -> Finding:
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    return finding


def test_statistics_that_never_move_are_an_error() -> None:
    finding = only(examine(kept(momentum=0.0, at_start=True)))
    assert finding.severity is Severity.ERROR
    assert [site.op for site in finding.sites] == ["batch_norm"]
    assert "momentum 0 leaves" in finding.message


@pytest.mark.parametrize("momentum", [0.9, 0.99, 0.9997, 1.0])
@pytest.mark.parametrize(
    ("spread", "severity"),
    [(0.31, Severity.WARNING), (0.1, Severity.NOTE), (math.nan, Severity.NOTE)],
)
def test_the_last_batch_alone(momentum: float, spread: float, severity: Severity) -> None:
    finding = only(examine(kept(momentum=momentum, spread=spread)))
    assert finding.severity is severity
    assert finding.measured == pytest.approx(momentum / (2.0 - momentum))
    known = {0.9: "momentum=0.1,", 0.99: "momentum=0.01,", 0.9997: "momentum=0.0003,"}
    assert known.get(momentum, "PyTorch's own") in finding.help[0]


def test_a_slow_one_is_a_note_that_says_how_far_off_it_is() -> None:
    finding = only(examine(kept(momentum=0.0003, at_start=True, evaluation_rms=70.0)))
    assert finding.severity is Severity.NOTE
    assert finding.measured == pytest.approx(3333.3, rel=1e-3)
    assert "evaluation mode makes values 70 times as large as training" in finding.notes[0]
    resumed = only(examine(kept(momentum=0.0003, tracked=5000)))
    assert "5,000 have been counted" in resumed.message


def test_one_that_is_shut_is_a_note() -> None:
    finding = only(examine(kept_shut(at_start=True)))
    assert finding.severity is Severity.NOTE
    assert "nothing is normalised there" in finding.message


def kept_shut(**known: Any) -> Recording:
    recording = kept()
    one = RunningStatistics(site=1, momentum=0.1, training=False, **known)
    return replace(recording, running_statistics=(one,))


@pytest.mark.parametrize(
    "known",
    [
        {"momentum": 0.1, "at_start": True, "spread": 0.9},
        {"momentum": 0.01, "at_start": True},
        {"momentum": 0.001, "at_start": True},
        {"momentum": 0.5, "at_start": True, "spread": 0.9},
        {"momentum": math.nan, "at_start": True, "spread": 0.9},
        {"momentum": 0.0003, "tracked": 600_000},
        {"momentum": 0.0003, "tracked": 0},  # loaded, and nothing was counted
        {"momentum": 0.0, "tracked": 1000},  # frozen once it had learnt them
    ],
)
def test_what_is_usual_or_settled(known: dict[str, Any]) -> None:
    assert isinstance(examine(kept(**known)), Clear)


def test_a_frozen_backbone_with_its_statistics() -> None:
    assert isinstance(examine(kept_shut(tracked=1000)), Clear)
    assert isinstance(examine(kept_shut(tracked=0)), Clear)


def test_not_judged() -> None:
    assert isinstance(examine(Recording()), NotApplicable)
    in_evaluation = kept(training=False, momentum=0.99, spread=0.9)
    assert isinstance(examine(in_evaluation), NotApplicable)
    gone = replace(kept(momentum=0.99), sites=())
    assert isinstance(examine(gone), NotMeasured)


def test_they_are_saved_and_old_recordings_have_none() -> None:
    recording = kept(momentum=0.25, tracked=7, evaluation_rms=1.5, spread=0.125)
    back = decode_recording(encode_recording(recording))
    assert back.running_statistics == recording.running_statistics
    old = encode_recording(recording)
    del old["running_statistics"]
    assert decode_recording(old).running_statistics == ()


# --------------------------------------------------------------------------- networks


def seeded(*layers: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(*(make() for make in layers))


def mlp(norm: Callable[[], nn.Module]) -> nn.Module:
    return seeded(lambda: nn.Linear(8, 16), norm, nn.ReLU, lambda: nn.Linear(16, 3))


def batches(size: int) -> list[tuple[Tensor, Tensor]]:
    random = torch.Generator().manual_seed(1)
    return [
        (torch.randn(size, 8, generator=random), torch.randint(0, 3, (size,), generator=random))
        for _ in range(3)
    ]


def of(model: nn.Module, size: int = 64) -> Verdict:
    first, *rest = batches(size)
    report = checkup(model, first, loss=nn.functional.cross_entropy, data=[first, *rest])
    return report.diagnosis.verdicts["UV509"]


def test_small_batches_with_the_momentum_of_keras() -> None:
    norm = lambda: nn.BatchNorm1d(16, momentum=0.99)  # noqa: E731
    small = only(of(mlp(norm), size=4))
    assert small.severity is Severity.WARNING
    assert [site.path for site in small.sites] == ["1"]
    assert only(of(mlp(norm), size=64)).severity is Severity.NOTE


@pytest.mark.parametrize(
    "norm",
    [
        lambda: nn.BatchNorm1d(16),
        lambda: nn.BatchNorm1d(16, momentum=None),
        lambda: nn.BatchNorm1d(16, momentum=0.01, affine=False),
        lambda: nn.SyncBatchNorm(16),
    ],
)
def test_usual_normalisations_are_clear(norm: Callable[[], nn.Module]) -> None:
    assert isinstance(of(mlp(norm), size=4), Clear)


@pytest.mark.parametrize(
    "norm",
    [
        lambda: nn.LayerNorm(16),
        lambda: nn.BatchNorm1d(16, momentum=0.99, track_running_stats=False),
    ],
)
def test_normalisations_that_keep_nothing(norm: Callable[[], nn.Module]) -> None:
    assert isinstance(of(mlp(norm), size=4), NotApplicable)


def test_instance_norm_takes_no_momentum_for_zero() -> None:
    def network(momentum: float | None) -> nn.Module:
        return seeded(
            lambda: nn.Unflatten(1, (1, 8)),
            lambda: nn.Conv1d(1, 4, 3),
            lambda: nn.InstanceNorm1d(4, momentum=momentum, track_running_stats=True),  # type: ignore[arg-type]
            nn.ReLU,
            nn.Flatten,
            lambda: nn.Linear(24, 3),
        )

    assert isinstance(of(network(0.1)), Clear)
    assert only(of(network(None))).severity is Severity.ERROR
    assert only(of(network(0.99))).severity is Severity.NOTE


def test_a_trained_network_of_small_momentum_is_clear() -> None:
    model = mlp(lambda: nn.BatchNorm1d(16, momentum=0.0003))
    assert only(of(model)).severity is Severity.NOTE
    norm = model.get_submodule("1")
    norm.running_mean += 0.25  # type: ignore[operator]
    norm.num_batches_tracked.fill_(100_000)  # type: ignore[operator,union-attr]
    assert isinstance(of(model), Clear)


def test_a_backbone_that_was_frozen_before_it_learnt_anything() -> None:
    model = mlp(lambda: nn.BatchNorm1d(16))
    norm = model.get_submodule("1").eval()
    assert "evaluation mode" in only(of(model)).message
    norm.running_var *= 3.0  # type: ignore[operator]
    assert isinstance(of(model), Clear)


# --------------------------------------------------------------------------- the reading


@pytest.mark.parametrize("momentum", [0.0003, 0.1, 0.99, None])
def test_the_numbers_of_batches_are_read_off_the_buffers(momentum: float | None) -> None:
    model = mlp(lambda: nn.BatchNorm1d(16, momentum=momentum))
    norm = model.get_submodule("1")
    norm.running_mean += 0.5  # type: ignore[operator]
    norm.num_batches_tracked.fill_(3)  # type: ignore[operator,union-attr]
    given = batches(16)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    (one,) = trace(model, given[0], nn.functional.cross_entropy, data=given).running_statistics
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    hidden = [model.get_submodule("0")(x).detach() for x, _ in given]
    means = torch.stack([h.mean(dim=0) for h in hidden])
    within = torch.stack([h.var(dim=0) for h in hidden]).mean(dim=0)
    spread = (means.var(dim=0) / within).mean().sqrt()
    assert one.spread == pytest.approx(float(spread), rel=0.02)
    square = (means[0] - 0.5).square() + hidden[0].var(dim=0)
    assert one.evaluation_rms == pytest.approx(float(square.mean().sqrt()), rel=0.02)
    assert (one.tracked, one.at_start, one.training) == (3, False, True)
    assert one.momentum == momentum or math.isnan(one.momentum)


def test_a_norm_that_is_called_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.norm = nn.Linear(8, 8), nn.BatchNorm1d(8, momentum=0.2)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.norm(self.layer(x)))  # type: ignore[no-any-return]

    torch.manual_seed(0)
    (one,) = trace(Twice(), batches(16)[0], nn.functional.cross_entropy).running_statistics
    assert one.tracked == 0
    assert 0.3 < one.evaluation_rms < 3.0
