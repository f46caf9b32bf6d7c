"""How often a cure cures networks drawn from a grammar of tasks, families and faults.

    python -m benchmarks.drawn [--from 0] [--count 200] [--jobs 2] [--only SEED ...] [--fresh]
    python -m benchmarks.drawn --check [...]
    python -m benchmarks.drawn --text SEED

writes results/drawn.json (one entry a network; a run that was cut short goes on where it was) and
results/drawn.md. ``--check`` asks what a check finds, cures nothing, and writes
results/drawn_checks.*. ``--text`` prints what the tool is given for a seed.

Nobody decides what is sick: a network is drawn as a sensible person would write it, and once more
with something wrong. Both are trained, on three seeds and equal steps. Where the first one learns,
the goal lies a tenth below what its worst seed reaches, counted from what a network reaches that
has learnt nothing. The second one is *sick* if at most one of its seeds reaches the goal and their
median falls short by twice as much; *healthy* if all three do; otherwise, and where the first one
does not learn, it is left out, and counted. Files that have a metric say the goal too, the others
say neither. The cure is judged as in `benchmarks.cures_outside`.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, Final

from benchmarks.accuracy import strict
from benchmarks.cures import RESULTS, edit, metric, told
from benchmarks.cures_outside import treated, untreated, verdict
from benchmarks.drawn.build import score, text
from benchmarks.drawn.draw import draw
from benchmarks.drawn.pages import POLICIES, checks_page, page

STEPS: Final = 400
LEARNS: Final = 0.6
LIMIT_SECONDS: Final = 600


def examined(seed: int, jobs: int, *, cures: bool = True) -> dict[str, Any]:
    """Draw one network, find out whether it is sick, check or cure it, and judge the cure."""
    import torch

    torch.set_num_threads(1)
    drawn = draw(seed)
    row: dict[str, Any] = {
        "name": str(seed),
        "task": drawn.task.name,
        "family": drawn.given.family,
        "fault": drawn.fault,
        "sick": None,
    }
    with TemporaryDirectory() as folder:
        well, given = Path(folder) / f"well_{seed}.py", Path(folder) / f"net_{seed}.py"
        well.write_text(text(drawn.well, drawn.task), encoding="utf-8")
        given.write_text(text(drawn.given, drawn.task), encoding="utf-8")
        truths = [_truth(drawn.task, path) for path in (well, given)]
        row["known cure"] = verdict(str(well), truths[0], lambda s: untreated(str(well), s))
        chance = drawn.task.chance
        learnt = min(row["known cure"]["metrics"]) - chance
        if not learnt >= LEARNS * (1 - chance):
            return row | {"out": "the well one does not learn"}
        for truth in truths:
            truth.GOAL = chance + 0.9 * learnt
        row["goal"] = truths[0].GOAL
        if drawn.given.shows:
            with given.open("a", encoding="utf-8") as file:
                file.write(f"GOAL = {row['goal']:.4g}\n")
        row["known cure"] |= {"reached": True, "seeds": 3}
        row["nothing"] = verdict(str(given), truths[1], lambda s: untreated(str(given), s))
        reached, metrics = row["nothing"]["seeds"], row["nothing"]["metrics"]
        middle = median(-math.inf if math.isnan(value) else value for value in metrics)
        if reached <= 1 and not middle > chance + 0.8 * learnt:
            row["sick"] = True
        elif reached == 3:
            row["sick"] = False
        else:
            return row | {"out": "neither sick nor healthy"}
        if not cures:
            return row | _checked(str(given))
        return row | _cured(str(given), truths[1], jobs, row["nothing"])


def _checked(target: str) -> dict[str, Any]:
    import unvanish
    from unvanish.core.errors import UnvanishError

    start = time.perf_counter()
    try:
        report = unvanish.checkup(target)
    except UnvanishError as error:
        return {"crash": f"refused: {error}"}
    except Exception:
        return {"crash": traceback.format_exc()}
    return {"seconds": time.perf_counter() - start} | _findings(report.diagnosis)


def _findings(diagnosis: Any) -> dict[str, Any]:
    """Return what is found, and what of it is more than a note."""
    loud = [root for root in diagnosis.roots if root.severity != "note"]
    return {
        "found": [root.code for root in diagnosis.roots],
        "alarms": [root.code for root in loud],
        "causes": [cause.value for root in loud for cause in root.causes[:1]],
    }


def _cured(target: str, truth: Any, jobs: int, nothing: Mapping[str, Any]) -> dict[str, Any]:
    from unvanish import cure
    from unvanish.core.errors import UnvanishError
    from unvanish.diagnose import diagnose

    row: dict[str, Any] = {}
    start = time.perf_counter()
    try:
        found = cure(target, jobs=jobs, resume=False)
    except UnvanishError as error:
        return {"crash": f"refused: {error}", "seconds": time.perf_counter() - start}
    except Exception:
        return {"crash": traceback.format_exc(), "seconds": time.perf_counter() - start}
    row |= {
        "seconds": time.perf_counter() - start,
        **told(found),
        **_findings(diagnose(found.before)),
        "cure": dict(nothing),
    }
    if found.is_changed:
        row["cure"] = verdict(target, truth, lambda seed: treated(found, seed))
    return row


def _truth(task: Any, path: Path) -> SimpleNamespace:
    """Return what only the judge has, for one file."""
    names: dict[str, Any] = {}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)
    judge = f"def judge(model):\n    return {score(task, 'test')}\n"
    exec(judge, names)
    return SimpleNamespace(STEPS=STEPS, GOAL=0.0, HIGHER_IS_BETTER=True, metric=names["judge"])


def apart(seed: int, jobs: int, *, cures: bool) -> dict[str, Any]:
    """Do `examined` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.drawn", "--one", str(seed), "--jobs", str(jobs)]
    command += [] if cures else ["--check"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return {"name": str(seed), "sick": None, "crash": "it did not come to an end"}
    try:
        row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"name": str(seed), "sick": None, "crash": done.stderr[-3000:]}
    return row


def main() -> None:
    """Run what is left to run, and write both files after every network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", type=int, default=[], metavar="SEED")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--save", default="", metavar="NAME")
    parser.add_argument("--text", type=int, metavar="SEED")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.text is not None:
        drawn = draw(asked.text)
        print(text(drawn.given, drawn.task))
        return
    if asked.one is not None:
        print(
            json.dumps(
                strict(examined(asked.one, asked.jobs, cures=not asked.check)), allow_nan=False
            )
        )
        return
    file = RESULTS / f"{asked.save or ('drawn_checks' if asked.check else 'drawn')}.json"
    rows: list[dict[str, Any]] = []
    if file.exists() and not asked.fresh:
        rows = json.loads(file.read_text(encoding="utf-8"))["networks"]
    known = {row["name"] for row in rows}
    for seed in asked.only or range(asked.first, asked.first + asked.count):
        if str(seed) in known:
            continue
        row = apart(seed, asked.jobs, cures=not asked.check)
        rows = sorted([*rows, row], key=lambda each: int(each["name"]))
        document = {"jobs": asked.jobs, "steps": STEPS, "networks": rows}
        file.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        written = checks_page(rows) if asked.check else page(rows)
        file.with_suffix(".md").write_text(written, encoding="utf-8")
        alarms = " ".join(row.get("alarms", []))
        said = row.get("out") or (
            f"found {alarms or 'nothing'}"
            if asked.check and "crash" not in row
            else f"{row.get('verdict', 'crash')}, {edit(row)}"
        )
        goal = f"{row.get('goal', math.nan):.3g}"
        state = {True: "sick", False: "healthy", None: "out"}[row["sick"]]
        print(
            seed, row.get("task"), row.get("family"), row.get("fault") or "-", state, said,
            "goal", goal, *(metric(row.get(policy)) for policy in POLICIES),
            f"{row.get('seconds', math.nan):.0f} s", flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
