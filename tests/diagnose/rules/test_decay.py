"""UV406: decay against the gradient, by its share of a direction and by its time."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from unvanish.core.conditions import Optimizer, RunContext, ShortTraining
from unvanish.core.findings import Cause, Severity
from unvanish.core.records import Parameter, Recording
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured
from unvanish.diagnose.rules.decay import WeightDecay
from unvanish.observe import trace
from unvanish.testing import recording_of


def matrix(index: int, turn: float, along: float, **settings) -> Parameter:
    fields = {"shape": (64, 16), "rms": 0.1, "log10_grad_rms": -3.0, "learning_rate": 0.1}
    return Parameter(
        name=f"layers.{index}.weight",
        in_optimizer=True,
        turn_ratio=turn,
        update_ratio=math.hypot(turn, along),
        **(fields | settings),
    )


def recorded(turn: float, decay: float, *, name: str = "SGD", momentum: float = 0.0) -> Recording:
    """Two layers whose step at a rate of 0.1 turns them by `turn` and decays as it should."""
    optimizer = Optimizer(name=name, lr=0.1, weight_decay=decay, momentum=momentum)
    return recording_of(
        "linear",
        "linear",
        parameters=[matrix(i, turn, 0.1 * decay) for i in range(2)],
        context=RunContext(optimizer=optimizer),
    )


def examine(recording: Recording):
    return WeightDecay().examine(recording)


def test_the_ratio_is_decays_share_of_one_direction():
    """0.1 x 2 of |w|, over 16 directions, against 0.02 of |w|: 0.2 / (4 x 0.02) = 2.5."""
    verdict = examine(recorded(0.02, 2.0))
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.measured == pytest.approx(2.5)
    assert finding.severity is Severity.WARNING
    assert finding.causes == (Cause.WEIGHT_DECAY,)
    assert finding.help[0].startswith("lower it to 0.08 or less")
    assert "after 5 steps" in finding.notes[0]


def test_the_limit_is_one():
    assert isinstance(examine(recorded(0.051, 2.0)), Clear)
    assert isinstance(examine(recorded(0.049, 2.0)), Found)


def test_slow_decay_is_what_a_converged_network_outlives():
    """At 5e-4 and a rate of 0.1 the weights last 20,000 steps, however small the gradient."""
    assert isinstance(examine(recorded(1e-9, 5e-4)), Clear)
    assert isinstance(examine(recorded(1e-9, 0.03)), Clear)
    assert isinstance(examine(recorded(1e-9, 0.03, momentum=0.9)), Found)
    assert isinstance(examine(recorded(1e-9, 0.03, name="AdamW")), Clear)


def test_a_group_without_decay_is_not_held_by_that_of_another():
    recording = recorded(0.02, 2.0)
    free = [replace(p, update_ratio=p.turn_ratio) for p in recording.parameters]
    assert isinstance(examine(replace(recording, parameters=tuple(free))), Clear)


def test_a_rescaled_decay_is_compared_with_the_gradient_itself():
    """9 x 0.1 against 1e-3, over 16 directions: 225, where the step goes towards zero."""
    recording = recorded(0.01, 9.0, name="Adam")
    verdict = examine(recording)
    assert isinstance(verdict, Found)
    assert verdict.findings[0].measured == pytest.approx(225.0)
    one = replace(recording.parameters[1], log10_grad_rms=1.0)
    strong = replace(recording, parameters=(recording.parameters[0], one))
    assert isinstance(examine(strong), Clear)


@pytest.mark.parametrize("name", ["Muon", "Adafactor", "Mine"])
def test_a_decay_of_another_kind_is_not_judged(name):
    assert isinstance(examine(recorded(1e-9, 9.0, name=name)), NotApplicable)


def test_what_it_does_not_apply_to():
    assert isinstance(examine(recorded(0.01, 0.0)), NotApplicable)
    assert isinstance(examine(recording_of("linear")), NotApplicable)
    assert isinstance(examine(recording_of("linear", parameters=[])), NotMeasured)
    unmeasured = [replace(p, turn_ratio=math.nan) for p in recorded(0.1, 1.0).parameters]
    recording = replace(recorded(0.1, 1.0), parameters=tuple(unmeasured))
    assert isinstance(examine(recording), NotMeasured)


def judged(decay: float, make) -> str:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)
    )
    batch = torch.randn(64, 16), torch.randint(0, 4, (64,))
    optimizer = make(model.parameters(), decay)
    return examine(trace(model, batch, optimizer=optimizer, probe_steps=1)).kind


def sgd(parameters, decay):
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=decay)


def adamw(parameters, decay):
    return torch.optim.AdamW(parameters, lr=1e-3, weight_decay=decay)


def adam(parameters, decay):
    return torch.optim.Adam(parameters, lr=1e-3, weight_decay=decay)


@pytest.mark.parametrize(
    ("make", "decay"),
    [(sgd, 5e-4), (sgd, 1e-2), (adamw, 0.01), (adamw, 0.1), (adamw, 1.0), (adam, 1e-4)],
)
def test_usual_decays_are_clear(make, decay):
    assert judged(decay, make) == "clear"


@pytest.mark.parametrize(("make", "decay"), [(sgd, 9.0), (adamw, 300.0), (adam, 9.0)])
def test_decays_that_leave_nothing_are_found(make, decay):
    assert judged(decay, make) == "found"


@pytest.mark.parametrize(
    ("after", "undecayed", "found"),
    [(0.9, 0.5, True), (0.9, 0.8, False), (0.2, 0.01, False), (math.inf, 0.5, False)],
)
def test_sixty_steps_tell_what_decay_takes(after, undecayed, found):
    run = ShortTraining(steps=60, loss_before=1.0, loss_after=after, loss_undecayed=undecayed)
    verdict = examine(replace(recorded(0.5, 1e-2, name="Adam"), training=run))
    assert isinstance(verdict, Found if found else Clear)
    if found:
        (finding,) = verdict.findings
        assert finding.measured == pytest.approx(after / undecayed)
        assert "AdamW" in finding.help[0]


@pytest.mark.parametrize(("decay", "found"), [(0.1, True), (1e-4, False)])
def test_decay_that_adam_rescales(decay, found):
    def adam(model):
        return torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=decay)

    torch.manual_seed(0)
    x = torch.randn(192, 16)
    batches = [(one, one.prod(1).sign().relu().long()) for one in x.split(64)]
    model = nn.Sequential(
        nn.Linear(16, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2)
    )
    recording = trace(
        model, batches[0], nn.functional.cross_entropy, optimizer=adam, data=batches[1:]
    )
    assert (recording.training is not None) is found
    assert isinstance(examine(recording), Found if found else Clear)


@pytest.mark.parametrize("name", ["SGD", "AdamW"])
def test_sixty_steps_count_for_a_decay_that_is_not_rescaled_too(name):
    """The first gradient outweighs the decay, and the trial shows what becomes of it."""
    run = ShortTraining(steps=60, loss_before=1.4, loss_after=1.38, loss_undecayed=0.01)
    recording = replace(recorded(0.5, 0.5, name=name), training=run)
    verdict = examine(recording)
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.measured == pytest.approx(138.0)
    assert finding.message.endswith("60 steps leave a loss of 1.38, and 0.01 without it")
    assert "after 20 steps" in finding.notes[0]
    assert finding.help[0].startswith("lower it to 0.005 or less; usual")


def test_a_slow_start_without_decay_excuses_no_other_optimiser_than_adams_kin():
    run = ShortTraining(steps=60, loss_before=1.0, loss_after=1.0, loss_undecayed=0.99)
    verdict = examine(replace(recorded(0.02, 2.0), training=run))
    assert isinstance(verdict, Found)
    assert verdict.findings[0].severity is Severity.WARNING


class Normalised(nn.Module):
    """Weights before a norm: their size does not matter."""

    def __init__(self) -> None:
        super().__init__()
        layers = [
            part
            for before in (20, 64, 64)
            for part in (nn.Linear(before, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU())
        ]
        self.net = nn.Sequential(*layers, nn.Linear(64, 4))

    def forward(self, x):
        return self.net(x)


def plain():
    return nn.Sequential(
        nn.Linear(20, 64),
        nn.ReLU(),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Linear(64, 4),
    )


@pytest.mark.parametrize(
    ("make", "rate", "decay", "asked", "found"),
    [
        (plain, 0.1, 0.1, True, True),
        (plain, 0.1, 0.05, True, True),
        (plain, 0.1, 0.02, True, False),
        (plain, 0.1, 5e-4, False, False),
        (plain, 0.01, 0.01, False, False),
        (Normalised, 0.1, 5e-4, False, False),
        (Normalised, 0.1, 0.05, True, False),
        (Normalised, 0.1, 0.5, True, True),
    ],
)
def test_decay_under_momentum(make, rate, decay, asked, found):
    def sgd(model):
        return torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=decay)

    torch.manual_seed(0)
    x = torch.randn(192, 20)
    y = 2 * (x[:, 0] + x[:, 1] > 0).long() + (x[:, 2] + x[:, 3] > 0).long()
    batches = list(zip(x.split(64), y.split(64), strict=True))
    recording = trace(
        make(), batches[0], nn.functional.cross_entropy, optimizer=sgd, data=batches[1:]
    )
    assert (recording.training is not None) is asked
    assert isinstance(examine(recording), Found if found else Clear)
