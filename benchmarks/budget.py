"""Does each patient behave as its file says: sick ones fail, cured and healthy ones learn?

    python -m benchmarks.budget [--seeds 3] [--jobs 2] [--only NAME ...]

Each patient is trained for its own budget of optimiser steps, as it is and, where it is
sick, with its known cure: same data, same seeds, same number of steps. Writes
results/budget.json and results/budget.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = Path("results")


def trial(job: tuple[str, str, int]) -> dict[str, Any]:
    """Train one arm of one patient; a failure is a result, not an error."""
    import torch

    from unvanish.zoo.training import train

    torch.set_num_threads(1)
    name, arm, seed = job
    start = time.process_time()
    row: dict[str, Any] = {"patient": name, "arm": arm, "seed": seed}
    try:
        outcome = train(name, cured=arm == "cured", seed=seed)
    except Exception:
        return {**row, "crash": traceback.format_exc(), "as_said": False}
    metric = None if outcome.metric != outcome.metric else outcome.metric
    return {
        **row,
        "metric": metric,
        "goal": outcome.goal,
        "reached": outcome.reached,
        "as_said": outcome.reached is not (arm == "sick"),
        "cpu_seconds": round(time.process_time() - start, 2),
    }


def arms(name: str) -> Sequence[str]:
    """Return what is trained of a patient."""
    from unvanish.zoo.patient import patient_of

    return ("sick", "cured") if patient_of(name).is_sick else ("healthy",)


def written(rows: Sequence[dict[str, Any]], command: str) -> str:
    """Return the table: the metric of every seed, and whether all are as said."""
    lines = ["# Budgets of the zoo", "", f"`{command}`", ""]
    wrong = sum(not row["as_said"] for row in rows)
    lines += [f"{len(rows)} runs, {wrong} of them not as the patient's file says.", ""]
    lines += ["| patient | arm | goal | metric by seed | as said |", "|---|---|---|---|---|"]
    for name, arm in dict.fromkeys((row["patient"], row["arm"]) for row in rows):
        mine = [row for row in rows if (row["patient"], row["arm"]) == (name, arm)]
        metrics = ", ".join(
            "crash" if "crash" in r else "diverged" if r["metric"] is None else f"{r['metric']:.3g}"
            for r in mine
        )
        good = sum(row["as_said"] for row in mine)
        goal = f"{mine[0].get('goal', float('nan')):g}"
        lines.append(f"| {name} | {arm} | {goal} | {metrics} | {good} of {len(mine)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train everything and write the results."""
    from unvanish.zoo.patient import patients

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    work = [
        (name, arm, seed)
        for name in arguments.only or patients()
        for arm in arms(name)
        for seed in range(arguments.seeds)
    ]
    rows = []
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        for row in pool.imap(trial, work):
            rows.append(row)
            if not row["as_said"]:
                print(row)
    command = f"python -m benchmarks.budget --seeds {arguments.seeds}"
    page = written(rows, command)
    if arguments.only:
        print(page)
        return
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"command": command, "runs": rows}, indent=1, allow_nan=False)
    (RESULTS / "budget.json").write_text(text + "\n", encoding="utf-8")
    (RESULTS / "budget.md").write_text(page, encoding="utf-8")
    print(page.split("\n\n")[2])


if __name__ == "__main__":
    main()
