"""What it costs to watch a training run, by unvanish and by other tools, side by side.

    python -m benchmarks.watching [--quick] [--model NAME ...] [--growth] [--device cuda]

writes results/watching.json and results/watching.md; with ``--model`` or ``--growth`` only their
part is measured anew. ``--quick`` takes two turns an arm, prints, and writes nothing. Tools that
are not installed are named: wandb tensorboard lightning torchmortem torchinstruments torchexplorer
cockpit-for-pytorch.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import torch

import unvanish
from benchmarks.watching.arms import (
    Arm,
    ByHand,
    ByHandAtOnce,
    EveryParameters,
    Everything,
    PlainAgain,
    PlainElsewhere,
    Unvanish,
)
from benchmarks.watching.cases import CASES, Case
from benchmarks.watching.growth import LENGTH, growth
from benchmarks.watching.page import written
from benchmarks.watching.rivals import RIVALS
from benchmarks.watching.turns import Taken, Turns, cost, over, spread, take_turns

RESULTS = Path("results")

ARMS: Final[tuple[type[Arm], ...]] = (
    *(Arm, PlainAgain, PlainElsewhere, Unvanish, EveryParameters, Everything, ByHand, ByHandAtOnce),
    *RIVALS,
)


def installed(arm: type[Arm]) -> str:
    """Return the version of what an arm needs; empty where it is not installed."""
    if not arm.requires:
        return unvanish.__version__ if issubclass(arm, Unvanish) else str(torch.__version__)
    try:
        return version(arm.requires)
    except PackageNotFoundError:
        return ""


def measured(case: Case, arms: Sequence[type[Arm]], device: str, rounds: int) -> dict[str, Any]:
    """Let arms take turns at one run and return what they took.

    Args:
        case: The run.
        arms: The arms, the plain step first.
        device: Where the model is.
        rounds: How many turns each takes; those of the case if 0.
    """
    here = [arm for arm in arms if installed(arm)]
    missing = {
        arm.name: f"not installed: pip install {arm.requires}" for arm in arms if arm not in here
    }
    taken = take_turns(case, here, device=device, rounds=rounds, said=_say)
    plain = taken[Arm.name]
    rows = {arm.name: _row(arm, taken[arm.name], plain) for arm in here if taken[arm.name].turns}
    failed = {name: each.error for name, each in taken.items() if each.error}
    return {
        "says": case.says,
        "machine": _machine(device),
        "arms": {name: row for name, row in rows.items() if name not in failed},
        "not_measured": missing | failed,
    }


def _row(arm: type[Arm], mine: Taken, plain: Taken) -> dict[str, Any]:
    shares = arm.shares()
    seconds = cost(mine.turns, shares) + mine.background
    below = mine.plain if any(mine.plain) else plain.turns
    low, high = spread(mine, plain, shares)
    kinds = {k: 1e3 * cost([[pair for t in mine.turns for pair in t]], {k: 1.0}) for k in shares}
    return {
        "ms": 1e3 * seconds,
        "ratio": over(mine, mine.turns, below, shares),
        "low": low,
        "high": high,
        "mean_ratio": (_mean(mine.turns) + mine.background) / _mean(below),
        "kinds_ms": {kind: ms for kind, ms in kinds.items() if not math.isnan(ms)},
        "shares": shares,
        "steps": sum(map(len, mine.turns)),
        "memory_mib": mine.memory,
        "memory_ratio": mine.memory / plain.memory,
        "syncs": mine.syncs,
    }


def _mean(turns: Turns) -> float:
    steps = [seconds for turn in turns for _, seconds in turn]
    return sum(steps) / len(steps)


def _machine(device: str) -> dict[str, Any]:
    return {
        "device": device if device == "cpu" else torch.cuda.get_device_name(),
        "processor": _processor(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "threads": 1,
        "seed": 0,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _say(what: str) -> None:
    print(f"  {what}", file=sys.stderr)


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--model", nargs="*", choices=[*CASES], default=[])
    parser.add_argument("--arm", nargs="*", choices=[a.name for a in ARMS], default=[])
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    models = {}
    for name in asked.model or (() if asked.growth else CASES):
        case = CASES[name]
        arms = [a for a in ARMS if not case.arms or a.name in case.arms]
        arms = [a for a in arms if not asked.arm or a is Arm or a.name in asked.arm]
        _say(name)
        found = measured(case, arms, asked.device, asked.rounds or (2 if asked.quick else 0))
        more = "" if asked.device == "cpu" else f" --device {asked.device}"
        found["command"] = f'python -m benchmarks.watching --model "{name}"{more}'
        models[name + more.replace(" --device", ",")] = found
    file = RESULTS / "watching.json"
    result: dict[str, Any] = {"models": {}, "arms": {}}
    if file.exists():  # read when all is done: another part may have been measured meanwhile
        result = json.loads(file.read_text(encoding="utf-8"))
    result["models"] |= models
    result["models"] = dict(sorted(result["models"].items(), key=lambda pair: _place(pair[0])))
    if asked.growth or not asked.model:
        steps = LENGTH // 20 if asked.quick else LENGTH
        result["growth"] = growth(steps) | {"command": "python -m benchmarks.watching --growth"}
    for arm in ARMS:
        if installed(arm):
            result["arms"][arm.name] = {"says": arm.says, "version": installed(arm)}
    print(written(result))
    if not asked.quick and not asked.arm:
        RESULTS.mkdir(exist_ok=True)
        file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        (RESULTS / "watching.md").write_text(written(result), encoding="utf-8")


def _place(name: str) -> tuple[int, str]:
    """Return where a run stands on the page: as the runs do, the processor before a GPU."""
    return next(n for n, case in enumerate(CASES) if name.startswith(case)), name


if __name__ == "__main__":
    main()
