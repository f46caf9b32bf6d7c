"""Starts that make a deep plain network trainable, trained: digits, 30 layers of 64 units.

    python -m benchmarks.starts [--seeds 1] [--steps 300] [--depth 30] [--rates 3e-4 1e-3]

writes results/starts.json and results/starts.md. Every network is plain: no skips, no
normalisation. Each remedy treats the same untrained network on one batch of 128 training images;
all are then trained with Adam on the same batches of 64. Held fixed: architecture (but for the
function that two remedies change), data, order, steps. Every arm, the untouched network included,
has every learning rate; the one with the best accuracy on the training images is reported, with
its accuracy on 360 images that were not trained on.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.accuracy import table
from unvanish.core.errors import UnvanishError
from unvanish.observe.copies import copied
from unvanish.treat.treatment import treat
from unvanish.zoo.data import held_out_digits, in_batches, training_digits

RESULTS = Path("results")
WIDTH = 64
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
}
ARMS = (
    "untouched",
    "lsuv",
    "centre-and-unit-variance",
    "jacobian-tuning",
    "folded-kernel-shape",
    "shaped-activation",
    "tailored-activation",
)


class Plain(nn.Module):
    """Layers and one function in turn."""

    def __init__(self, depth: int, phi: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.phi = phi
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        for layer in self.layers:
            x = self.phi(layer(x))
        return self.head(x)


@dataclass(frozen=True)
class Run:
    """One network, trained at one learning rate."""

    function: str
    arm: str
    seed: int
    rate: float
    train: float
    test: float
    loss: float
    seconds: float


@dataclass(frozen=True)
class Standing:
    """One arm over the seeds, at the rate that is best on the training images."""

    function: str
    arm: str
    rate: float
    train: float
    test: float
    worst: float
    refused: str = ""


def trained(
    start: nn.Module, function: str, arm: str, *, seed: int, rate: float, steps: int
) -> Run:
    """Train a copy of a network."""
    began = time.perf_counter()
    net = copied(start)
    images, labels = training_digits()
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    done, epoch = 0, 0
    while done < steps:
        for x, y in in_batches(images, labels, size=64, seed=1000 * seed + epoch):
            optimizer.zero_grad()
            F.cross_entropy(net(x), y).backward()
            optimizer.step()
            done += 1
            if done == steps:
                break
        epoch += 1
    with torch.no_grad():
        output = net(images)
        loss = float(F.cross_entropy(output, labels))
        seen = float((output.argmax(1) == labels).float().mean())
        x, y = held_out_digits()
        unseen = float((net(x).argmax(1) == y).float().mean())
    return Run(function, arm, seed, rate, seen, unseen, loss, time.perf_counter() - began)


def standings(runs: list[Run], refused: dict[tuple[str, str], str]) -> list[Standing]:
    """Sum the runs up, arm by arm."""
    found = []
    for function in FUNCTIONS:
        for arm in ARMS:
            own = [run for run in runs if (run.function, run.arm) == (function, arm)]
            if not own:
                reason = refused.get((function, arm), "not run")
                nothing = math.nan
                found.append(Standing(function, arm, nothing, nothing, nothing, nothing, reason))
                continue
            rate = max(
                sorted({run.rate for run in own}),
                key=lambda rate: statistics.mean(r.train for r in own if r.rate == rate),
            )
            best = [run for run in own if run.rate == rate]
            found.append(
                Standing(
                    function,
                    arm,
                    rate,
                    statistics.mean(run.train for run in best),
                    statistics.mean(run.test for run in best),
                    min(run.test for run in best),
                )
            )
    return found


def page(rows: list[Standing], command: str, depth: int, steps: int, seeds: int) -> str:
    """Return the whole page."""
    lines = ["# Starts for deep plain networks", "", f"`{command}`", ""]
    lines.append(
        f"Digits, {depth} layers of {WIDTH} units, no skips, no normalisation, Adam, {steps} steps "
        f"of 64 images, {seeds} {'seed' if seeds == 1 else 'seeds'}. Every arm has every learning "
        "rate; the one that is best on the training images is reported. The test images were not "
        "trained on. A guess is right once in ten."
    )
    cells = [
        (r.function, r.arm, f"{r.rate:g}", f"{r.train:.3f}", f"{r.test:.3f}", f"{r.worst:.3f}")
        if not r.refused
        else (r.function, r.arm, "-", "-", "-", "-")
        for r in rows
    ]
    header = ("function", "start", "rate", "train", "test", "worst seed")
    lines += ["", *table(header, cells), "", "A dash: the remedy refuses this network.", ""]
    return "\n".join(lines)


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--depth", type=int, default=30)
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-4, 1e-3])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    images, labels = training_digits()
    batch = images[:128], labels[:128]
    runs: list[Run] = []
    refused: dict[tuple[str, str], str] = {}
    for seed in range(arguments.seeds):
        for function, phi in FUNCTIONS.items():
            torch.manual_seed(seed)
            net = Plain(arguments.depth, phi)
            for arm in ARMS:
                start: nn.Module = net
                if arm != "untouched":
                    try:
                        start = treat(net, arm, batch, nn.CrossEntropyLoss(), seed=seed).model
                    except UnvanishError as error:
                        refused[function, arm] = error.what
                        continue
                for rate in arguments.rates:
                    run = trained(start, function, arm, seed=seed, rate=rate, steps=arguments.steps)
                    runs.append(run)
                    print(f"{function} {arm} {rate:g}: {run.train:.3f} {run.test:.3f}", flush=True)
    rows = standings(runs, refused)
    rates = " ".join(f"{rate:g}" for rate in arguments.rates)
    command = (
        f"python -m benchmarks.starts --seeds {arguments.seeds} --steps {arguments.steps} "
        f"--depth {arguments.depth} --rates {rates}"
    )
    RESULTS.mkdir(exist_ok=True)
    result = {
        "command": command,
        "standings": [asdict(row) for row in rows],
        "runs": [asdict(run) for run in runs],
    }
    text = json.dumps(result, indent=1).replace("NaN", "null")
    (RESULTS / "starts.json").write_text(text + "\n", encoding="utf-8")
    (RESULTS / "starts.md").write_text(
        page(rows, command, arguments.depth, arguments.steps, arguments.seeds), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
