from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from unvanish.core.prescriptions import Advice, Change, Option, Outlook, Prescription
from unvanish.core.proofs import Endpoint, Job
from unvanish.prove.experiment import Experiment, scale_rates
from unvanish.prove.partition import partition
from unvanish.prove.shortlist import fitting, shortlist
from unvanish.prove.training import execute


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(4, 16), nn.BatchNorm1d(16)
        self.drop, self.last = nn.Dropout(0.2), nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.last(self.drop(torch.tanh(self.norm(self.first(x)))))
        return out


def samples(seed: int = 0, count: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, generator=random)
    return x, (x[:, 0] > 0).long()


def made(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return Net()


def experiment(**changes: Any) -> Experiment:
    x, y = samples()
    batches = [(x[i : i + 32], y[i : i + 32]) for i in range(0, 256, 32)]
    parts = partition(batches, Net(), wanted=8, keep_held_out=False)
    modes: list[bool] = []

    def metric(model: nn.Module) -> float:
        modes.append(model.training)
        torch.rand(3)  # a metric may draw
        held_x, held_y = samples(9)
        return float((model(held_x).argmax(1) == held_y).float().mean())

    known: dict[str, Any] = {
        "target": "net",
        "make": made,
        "partition": parts,
        "loss": nn.functional.cross_entropy,
        "optimizer": lambda model: torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        "metric": metric,
        "endpoint": Endpoint(name="metric", goal=0.9),
    }
    return Experiment(**(known | changes))


def same(a: Any, b: Any) -> bool:
    """Tell whether two runs agree in everything but their time."""
    return repr(replace(a, seconds=0.0)) == repr(replace(b, seconds=0.0))


def test_a_run_tells_what_it_came_to():
    run = execute(experiment(), Job(steps=40, judged=True, examined=True))
    assert not run.failed
    assert run.metric > 0.9
    assert run.validation > 0.9
    assert run.steps == run.loss_steps[-1] == 40
    assert len(run.losses) == len(run.loss_steps) <= 25
    assert run.training_loss < run.losses[0]
    assert run.parameters == sum(p.numel() for p in Net().parameters())
    assert run.learning_rate == 0.1
    assert run.peak_bytes > 0
    assert run.milliseconds_per_step > 0
    assert run.end is not None


def test_equal_jobs_give_equal_runs_and_other_seeds_give_others():
    job = Job(steps=12, judged=True, seed=3)
    first, again, other = (execute(experiment(), j) for j in (job, job, replace(job, seed=4)))
    assert same(first, again)
    assert first.losses != other.losses


def test_a_redraw_changes_the_weights_and_not_the_batches():
    job = Job(steps=6, seed=3)
    seen: list[list[float]] = []

    def heard(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen[-1].append(float(target.float().mean()))
        return nn.functional.cross_entropy(output, target)

    losses = []
    for each in (job, replace(job, redraw=50)):
        seen.append([])
        losses.append(execute(experiment(loss=heard), each).losses)
    assert seen[0][:6] == seen[1][:6]
    assert losses[0] != losses[1]


def test_looking_on_the_way_changes_nothing():
    job = Job(steps=20, judged=True)
    plain = execute(experiment(), job)
    watched = execute(experiment(), replace(job, checkpoints=(5, 10), examined=True))
    assert watched.metric == plain.metric
    assert watched.losses == plain.losses
    assert set(watched.metrics_at) == {"5", "10"}


def test_a_rate_factor_multiplies_the_learning_rate():
    run = execute(experiment(), Job(steps=2, rate_factor=0.5))
    assert run.learning_rate == pytest.approx(0.05)


def test_every_kind_of_rate_of_every_group_is_multiplied():
    parameters = [nn.Parameter(torch.ones(2)) for _ in range(2)]
    groups = [{"params": parameters[:1], "lr": 0.1}, {"params": parameters[1:], "lr": 0.4}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5)
    scale_rates(optimizer, 10.0)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5, 2.0])
    assert [group["initial_lr"] for group in optimizer.param_groups] == pytest.approx([1.0, 4.0])


def test_a_loss_that_is_no_number_ends_the_run():
    def broken(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(output, target) * math.nan

    run = execute(experiment(loss=broken), Job(steps=9, judged=True))
    assert run.diverged == "the loss is nan at step 1"
    assert run.steps == 1
    assert math.isnan(run.metric)
    assert math.isnan(run.validation)


def test_a_loss_that_runs_away_ends_the_run():
    def steep(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=1e6)

    def square(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return (output[:, 0] - target).square().mean()

    run = execute(experiment(loss=square, optimizer=steep), Job(steps=30))
    assert run.diverged
    assert run.steps < 30


@pytest.mark.parametrize("change", ["loss", "optimizer", "metric"])
def test_whatever_fails_is_a_result(change):
    def fails(*_: Any) -> Any:
        raise ValueError("no such thing")

    run = execute(experiment(**{change: fails}), Job(steps=3, judged=True))
    assert "no such thing" in run.failed
    assert math.isnan(run.metric)


def test_a_remedy_that_does_not_fit_is_a_result():
    run = execute(experiment(), Job(remedies=("forget-bias",), steps=3))
    assert "forget-bias" in run.failed


def test_a_remedy_is_applied_to_a_fresh_network_of_every_seed():
    jobs = [Job(remedies=("relu",), seed=seed, steps=3) for seed in (0, 1)]
    runs = [execute(experiment(), job) for job in jobs]
    assert not any(run.failed for run in runs)
    assert runs[0].losses != runs[1].losses
    assert runs[0].losses != execute(experiment(), Job(seed=0, steps=3)).losses


def test_an_optimiser_that_asks_for_the_loss_again_gets_it():
    run = execute(
        experiment(optimizer=lambda model: torch.optim.LBFGS(model.parameters(), lr=0.1)),
        Job(steps=3, judged=True),
    )
    assert not run.failed
    assert run.steps == 3


def test_an_optimiser_of_the_given_network_follows_the_fresh_one():
    own = Net()
    given = torch.optim.Adam(own.parameters(), lr=0.01)
    before = [p.detach().clone() for p in own.parameters()]
    run = execute(experiment(model=own, optimizer=given), Job(steps=20, judged=True))
    assert run.training_loss < run.losses[0]
    assert all(torch.equal(a, b) for a, b in zip(before, own.parameters(), strict=True))


# ------------------------------------------------------------------------ the shortlist


def tried(name: str, change: Change, *, cures: tuple[str, ...] = ("UV101",)) -> Option:
    return Option(
        remedies=(name,),
        prescriptions=(Prescription(remedy=name, why="w", change=change),),
        outlook=Outlook(),
        cures=cures,
    )


def test_the_shortlist_holds_the_best_and_then_different_kinds():
    norms = [tried(f"norm-{k}", Change.NORMALISATION) for k in range(5)]
    start, path = tried("he", Change.INITIALISATION), tried("residual", Change.PATH)
    advice = Advice(before=Outlook(), options=(*norms, start, path))
    assert [o.name for o in shortlist(advice, 4)] == ["norm-0", "norm-1", "he", "residual"]
    assert [o.name for o in shortlist(advice, 6)][2:4] == ["norm-2", "norm-3"]
    assert [o.name for o in shortlist(advice, 1)] == ["norm-0"]


def test_what_mends_one_thing_gets_a_try_whatever_stands_before_it():
    starts = [tried(f"start-{k}", Change.INITIALISATION) for k in range(9)]
    options = (*starts, tried("silu", Change.ACTIVATION), tried("less-dropout", Change.ACTIVATION))
    chosen = [o.name for o in shortlist(Advice(before=Outlook(), options=options), 6)]
    assert "less-dropout" in chosen


def test_another_step_comes_last_where_nothing_cures_at_a_look():
    steps = [tried(name, Change.OPTIMISER, cures=()) for name in ("soap", "muon", "clip-norm")]
    options = (*steps, *(tried(f"norm-{k}", Change.NORMALISATION, cures=()) for k in range(3)))
    advice = Advice(before=Outlook(), options=options)
    assert [o.name for o in shortlist(advice, 3)] == ["soap", "norm-0", "norm-1"]
    assert [o.name for o in shortlist(advice, 2)] == ["norm-0", "norm-1"]


def test_what_failed_on_a_copy_is_not_tried_again():
    failed = Option(remedies=("elu",), failed="it does not run")
    advice = Advice(before=Outlook(), options=(failed, tried("he", Change.INITIALISATION)))
    assert [o.name for o in shortlist(advice, 6)] == ["he"]
    assert fitting(advice) == ("he",)


def test_an_arm_by_lot_may_be_anything_that_fits():
    advice = Advice(
        before=Outlook(), options=(tried("he", Change.INITIALISATION),), untried=("xavier",)
    )
    assert fitting(advice) == ("he", "xavier")
    assert fitting(None) == ()
