"""Plain networks of 1,000 layers and a residual one of 1,000 blocks, before and after, trained.

    python -m benchmarks.very_deep [--only NAME ...] [--layers 1000] [--fresh]

writes results/very_deep.json (arm by arm, so that a run that was cut short goes on where it was;
`--fresh` begins anew) and results/very_deep.md.

Held fixed in all arms of a network: depth, width (32), PyTorch's default start before the remedy,
scikit-learn's digits of 8 x 8 (1,437 to train and choose on, of which an eighth is for choosing;
360 to judge by, which nothing else sees), batches of 64 and their order, Adam (3e-4), steps, and
the seeds of weights and order. The network of ReLUs is trained twice, for 100 and for 250 steps:
in the first it had learnt, but less than the others. The plain networks have no skips, and nothing
is normalised. Every arm, the untouched control included, chooses its learning rate in the same way
as `unvanish cure` does: 1, 0.1 and 10 times the user's in a quarter of the steps, and one beside
the best, on a seed of its own and by the samples for choosing. It is then trained in full on three
other seeds. A remedy whose first tries are no better than the control's is not trained in full, and
stands in the table with its first tries.

Remedies are named here rather than taken from the ranking of `prescribe`. Times are CPU seconds of
one thread. A guess is right once in ten.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.accuracy import strict, table
from unvanish.core.proofs import Job, Run, name_of
from unvanish.curing.given import recipe_from
from unvanish.observe.copies import copied
from unvanish.prove.building import experiment_of
from unvanish.prove.contest import Entry, final_rates
from unvanish.prove.experiment import Experiment, Subject, scale_rates
from unvanish.prove.ledger import FIRST_SEED
from unvanish.prove.plan import RATES, Plan
from unvanish.prove.training import execute
from unvanish.zoo.data import held_out_digits, in_batches, training_digits

RESULTS = Path("results")
FILE = RESULTS / "very_deep.json"
WIDTH = 32
SEEDS = 3
RATE = 3e-4
GOAL = 0.9
ARMS: Mapping[str, Sequence[tuple[str, ...]]] = {
    "plain tanh": (
        (),
        ("shaped-activation",),
        ("critical",),
        ("orthogonal",),
        ("folded-kernel-shape",),
    ),
    "plain relu": (
        (),
        ("looks-linear",),
        ("tailored-activation",),
        ("he",),
        ("folded-kernel-shape",),
    ),
    "residual relu": ((), ("skip-init",), ("rezero",), ("fixup",), ("depth-scaled-init",)),
}
"""Networks, and the remedies that each is trained with, the control first."""
STEPS: Mapping[str, Sequence[int]] = {
    "plain tanh": (100,),
    "plain relu": (100, 250),
    "residual relu": (100,),
}
"""Steps of a full run."""


class Block(nn.Module):
    """Two layers beside a skip, without normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch."""
        branch: Tensor = self.second(F.relu(self.first(x)))
        return x + branch


def plain(function: Callable[[], nn.Module], layers: int) -> nn.Module:
    """Build some hidden layers and an output layer."""
    hidden = [part for _ in range(layers - 1) for part in (nn.Linear(WIDTH, WIDTH), function())]
    return nn.Sequential(nn.Linear(64, WIDTH), function(), *hidden, nn.Linear(WIDTH, 10))


def residual(blocks: int) -> nn.Module:
    """Build some residual blocks between an input and an output layer."""
    return nn.Sequential(
        nn.Linear(64, WIDTH), *(Block(WIDTH) for _ in range(blocks)), nn.Linear(WIDTH, 10)
    )


def makers(layers: int) -> dict[str, Callable[[], nn.Module]]:
    """Return what makes each network."""
    return {
        "plain tanh": lambda: plain(nn.Tanh, layers),
        "plain relu": lambda: plain(nn.ReLU, layers),
        "residual relu": lambda: residual(layers),
    }


def accuracy(model: nn.Module) -> float:
    """Return the share of the held-out digits that a network gets right."""
    inputs, labels = held_out_digits()
    with torch.no_grad():
        return float((model(inputs).argmax(1) == labels).float().mean())


def adam(model: nn.Module) -> torch.optim.Optimizer:
    """Return the user's optimiser."""
    return torch.optim.Adam(model.parameters(), lr=RATE, fused=True)


@dataclass(frozen=True, kw_only=True)
class Kept(Experiment):
    """An experiment that treats a network once for all learning rates.

    Attributes:
        untrained: Treated networks before their first step, by remedies and seed.
        seconds: CPU seconds that each took to build and treat.
    """

    untrained: dict[tuple[tuple[str, ...], int], Subject] = field(default_factory=dict)
    seconds: dict[tuple[tuple[str, ...], int], float] = field(default_factory=dict)

    def subject(self, job: Job) -> Subject:
        """Return a copy of the treated network, at the learning rate of the run."""
        key = job.remedies, job.seed
        if key not in self.untrained:
            began = time.process_time()
            self.untrained.clear()
            self.untrained[key] = super().subject(Job(remedies=job.remedies, seed=job.seed))
            self.seconds[key] = time.process_time() - began
        kept = self.untrained[key]
        model, optimizer = copied((kept.model, kept.optimizer), hooks=True)
        scale_rates(optimizer, job.rate_factor)
        return Subject(model=model, optimizer=optimizer, loss=kept.loss)


def experiment(make: Callable[[], nn.Module], steps: int) -> Kept:
    """Return what is trained on what."""
    data = list(in_batches(*training_digits(), size=64, seed=0))
    inputs, labels = training_digits()
    data.append((inputs[-(len(inputs) % 64) :], labels[-(len(inputs) % 64) :]))
    recipe = recipe_from(
        make, data=data, loss=F.cross_entropy, optimizer=adam, metric=accuracy, goal=GOAL
    )
    return Kept(**vars(experiment_of(recipe, steps=steps)))


def tried(setting: Kept, remedies: tuple[str, ...], plan: Plan) -> dict[float, Run]:
    """Return the first tries of an arm: factor of the learning rate to run."""
    entry = Entry(remedies=remedies)
    runs: dict[float, Run] = {}

    def score(_: Entry, factor: float) -> float:
        return value(runs[factor])

    def run(factor: float) -> Run:
        return execute(setting, Job(remedies=remedies, rate_factor=factor, steps=plan.short_steps))

    for factor in RATES:
        runs[factor] = run(factor)
    if all(run.failed for run in runs.values()):
        return runs
    best = max(runs, key=lambda factor: score(entry, factor))
    further = final_rates(entry, best, RATES, score)[1]
    return {**runs, further: run(further)}


def value(run: Run) -> float:
    """Return what a run is chosen by; minus infinity where it came to nothing."""
    return -math.inf if math.isnan(run.validation) else run.validation


def arm(
    network: str, setting: Kept, remedies: tuple[str, ...], plan: Plan, floor: float
) -> dict[str, Any]:
    """Train one arm, and return its row.

    Args:
        network: Name.
        setting: What is trained on what.
        remedies: Names; none for the control.
        plan: Steps and seeds.
        floor: What the first tries have to beat to be followed by full runs.
    """
    tries = tried(setting, remedies, plan)
    best = max(tries, key=lambda factor: value(tries[factor]))
    row: dict[str, Any] = {
        "network": network,
        "arm": name_of(remedies),
        "steps": plan.steps,
        "remedies": list(remedies),
        "tries": {f"{factor:g}": told(run) for factor, run in tries.items()},
        "best_try": value(tries[best]),
        "rate": RATE * best,
        "failed": next((run.failed for run in tries.values() if run.failed), ""),
        "runs": [],
    }
    if row["failed"] or (remedies and value(tries[best]) <= floor):
        return row
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        job = Job(remedies=remedies, rate_factor=best, seed=seed, steps=plan.steps, judged=True)
        began = time.process_time()
        run = execute(setting, job)
        treating = setting.seconds[remedies, seed]
        row["runs"].append(
            told(run)
            | {
                "seed": seed,
                "step_milliseconds": 1000
                * (time.process_time() - began - treating)
                / max(1, run.steps),
                "treating_seconds": treating,
            }
        )
        print(f"  seed {seed}: {run.metric:.3f} {run.diverged}{run.failed}", flush=True)
    return row


def told(run: Run) -> dict[str, Any]:
    """Return what is kept of a run."""
    return {
        "accuracy": run.metric,
        "choosing": run.validation,
        "steps": run.steps,
        "losses": [float(f"{loss:.4g}") for loss in run.losses],
        "diverged": run.diverged,
        "failed": run.failed,
    }


def cells(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Lay out one arm."""
    tries = row["best_try"]
    named = row["network"], row["steps"], row["arm"] if row["remedies"] else "before (control)"
    if row["failed"]:
        return (*named, "-", "-", row["failed"], "", "", "")
    short = f"{tries:.2f}" if tries is not None and math.isfinite(tries) else "diverged"
    rate = f"{row['rate']:.2g}"
    if not row["runs"]:
        return (*named, rate, short, "not trained in full", "", "", "")
    reached = [
        run["accuracy"] if run["accuracy"] is not None and run["accuracy"] == run["accuracy"] else 0
        for run in row["runs"]
    ]
    each = ", ".join(
        "diverged" if run["diverged"] else f"{100 * value:.1f}"
        for run, value in zip(row["runs"], reached, strict=True)
    )
    middle = f"{100 * median(reached):.1f} %" if any(reached) else "diverged"
    return (
        *named,
        rate,
        short,
        middle,
        each,
        f"{mean(run['step_milliseconds'] for run in row['runs']):.0f}",
        f"{mean(run['treating_seconds'] for run in row['runs']):.0f}" if row["remedies"] else "",
    )


def page(result: Mapping[str, Any]) -> str:
    """Return the whole page."""
    lines = ["# 1,000 layers", "", f"`{result['command']}`", ""]
    lines.append(
        f"Real digits (8 x 8), {result['layers']} layers or residual blocks of {WIDTH} units, "
        f"PyTorch's default start before the remedy, Adam, batches of 64 images. "
        "Each arm, the control too, chooses among four learning rates by samples that are neither "
        "trained on nor judged by (*first tries*: the best of them, a share of right answers plus "
        f"up to 0.01), and is then trained on {SEEDS} other seeds. Accuracy is that on 360 images "
        "which nothing else sees; a guess is right once in ten. Remedies whose first tries are no "
        "better than the control's are not trained in full. Times are CPU seconds of one thread."
    )
    header = (
        "network",
        "steps",
        "arm",
        "rate",
        "first tries",
        "held-out accuracy",
        "each seed, %",
        "ms a step",
        "s to treat",
    )
    lines += ["", *table(header, [cells(row) for row in result["rows"]]), ""]
    return "\n".join(lines)


def written(command: str, options: argparse.Namespace, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what there is so far."""
    order = [
        (network, steps, name_of(remedies))
        for network, arms in ARMS.items()
        for steps in STEPS[network]
        for remedies in arms
    ]
    result = {
        "command": command,
        "layers": options.layers,
        "seeds": SEEDS,
        "user_rate": RATE,
        "torch": torch.__version__,
        "rows": sorted(rows, key=lambda row: order.index(key_of(row))),
    }
    RESULTS.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(finite(strict(result)), indent=1) + "\n", encoding="utf-8")
    (RESULTS / "very_deep.md").write_text(page(json.loads(FILE.read_text())), encoding="utf-8")


def finite(value: Any) -> Any:
    """Replace what JSON cannot hold: infinity becomes null."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def key_of(row: Mapping[str, Any]) -> tuple[str, int, str]:
    """Return what tells an arm from all others."""
    return row["network"], row["steps"], row["arm"]


def todo(
    rows: Sequence[Mapping[str, Any]], only: Sequence[str]
) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """Yield the arms that are still to be trained, the control of each network first."""
    done = {key_of(row) for row in rows}
    for number in range(max(map(len, ARMS.values()))):
        for network, arms in ARMS.items():
            for steps in STEPS[network] if number < len(arms) else ():
                waits = (network, steps, name_of(arms[number])) not in done
                if waits and (not only or network in only):
                    yield network, steps, arms[number]


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="*", default=(), choices=list(ARMS))
    parser.add_argument("--layers", type=int, default=1000)
    parser.add_argument("--fresh", action="store_true", help="begin anew")
    options = parser.parse_args()
    torch.set_num_threads(1)
    command = f"python -m benchmarks.very_deep --layers {options.layers}"
    rows: list[dict[str, Any]] = []
    if FILE.exists() and not options.fresh:
        found = json.loads(FILE.read_text())
        rows = found["rows"] if found["command"] == command else []
    settings: dict[tuple[str, int], Kept] = {}
    for network, steps, remedies in todo(rows, options.only):
        print(f"{network}, {steps} steps: {name_of(remedies)}", flush=True)
        if (network, steps) not in settings:
            make = makers(options.layers)[network]
            settings[network, steps] = experiment(make, steps)
        control = [row for row in rows if key_of(row) == (network, steps, "control")]
        floor = max((row["best_try"] or 0.0 for row in control), default=-math.inf)
        plan = Plan(steps=steps, seeds=SEEDS)
        rows.append(arm(network, settings[network, steps], remedies, plan, floor))
        written(command, options, rows)


if __name__ == "__main__":
    main()
