"""How often the diagnosis of a run is right: whole training runs, healthy ones and sick ones.

    python -m benchmarks.runs [--every 10 50] [--only NAME ...] [--seed 0]

writes results/runs.json and results/runs.md. Every run of `benchmarks.runs_healthy` and
`benchmarks.runs_sick` is trained and watched at every cadence; those with a spike at some more.

- A healthy run is *alarmed* where a finding is a warning or an error, or a note that the run does
  not deserve.
- A sick run is *found* where the rule that is due speaks of it. The *onset error* is the step that
  its finding names less the step at which the sickness was put in; what can only be seen in samples
  can be late by one of them. A finding that begins before the onset is a *false* one.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

import unvanish
from benchmarks.runs_healthy import HEALTHY, NOTES, Loop
from benchmarks.runs_sick import SICK, Sick
from unvanish.core.findings import Diagnosis, Severity
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import RunRecording
from unvanish.diagnose.running import diagnose_run
from unvanish.diagnose.running.course import elasticities, is_hidden, trained_groups
from unvanish.watch import Watch

RESULTS = Path("results")
CADENCES = (10, 50)
SPIKE_CADENCES = (1, 5, 10, 20, 50)


@dataclass(frozen=True, kw_only=True)
class Watched:
    """One run at one cadence, and what was said of it.

    Attributes:
        name: Name of the run.
        what: What it is, in a sentence.
        every: The cadence.
        due: The code that was due; empty for a healthy run.
        onset: The step at which the sickness was put in; -1 for a healthy run.
        said: Code, severity, step and root of every finding.
        silent: Codes of the rules that could not judge.
        error: Onset error in steps; None where the rule due did not speak.
        late: Whether that is later than the cadence and the sickness itself explain, or early.
        false: Codes of the findings that should not be there.
        ranges: What the limits of the rules are compared with.
        seconds: How long it took.
    """

    name: str
    what: str
    every: int
    due: str
    onset: int
    said: Sequence[tuple[str, str, int, str]]
    silent: Sequence[str]
    error: int | None
    late: bool
    false: Sequence[str]
    ranges: dict[str, float]
    seconds: float


def watched(loop: Loop, every: int, seed: int) -> tuple[RunRecording, float]:
    """Train once under a watch."""
    watches: list[Watch] = []

    def watching(models: Any, optimizers: Any) -> Watch:
        watches.append(unvanish.observe(models, optimizers, every=every))
        return watches[-1]

    torch.manual_seed(seed)
    started = time.perf_counter()
    loop(watching)
    return watches[0].recording, time.perf_counter() - started


def on_healthy(loop: Loop, every: int, seed: int) -> Watched:
    """Watch a run with nothing wrong about it."""
    run, seconds = watched(loop, every, seed)
    diagnosis = diagnose_run(run)
    allowed = NOTES.get(loop.__name__, frozenset())
    false = [
        finding.code
        for finding in diagnosis.findings
        if finding.severity is not Severity.NOTE or finding.code not in allowed
    ]
    return _judged(
        loop, every, diagnosis, due="", onset=-1, false=false, ranges=ranges(run), seconds=seconds
    )


def on_sick(sick: Sick, every: int, seed: int) -> Watched:
    """Watch a run that is sick from a step that is known."""
    run, seconds = watched(sick.loop, every, seed)
    diagnosis = diagnose_run(run)
    false = [
        finding.code
        for finding in diagnosis.findings
        if finding.severity is not Severity.NOTE and finding.step < sick.step
    ]
    error = min((f.step - sick.step for f in diagnosis.findings if f.code == sick.code), default=-1)
    is_found = any(finding.code == sick.code for finding in diagnosis.findings)
    return _judged(
        sick.loop,
        every,
        diagnosis,
        due=sick.code,
        onset=sick.step,
        error=error if is_found else None,
        late=is_found and not 0 <= error <= every + sick.gradual,
        false=false,
        seconds=seconds,
    )


def _judged(loop: Loop, every: int, diagnosis: Diagnosis, **known: Any) -> Watched:
    said = [(f.code, f.severity.value, f.step, f.root) for f in diagnosis.findings]
    silent = [c for c, verdict in diagnosis.verdicts.items() if verdict.kind == "not-measured"]
    what = (loop.__doc__ or "").strip()
    defaults: dict[str, Any] = {"error": None, "late": False, "ranges": {}}
    return Watched(
        name=loop.__name__,
        what=what,
        every=every,
        said=said,
        silent=silent,
        **{**defaults, **known},
    )


# --- what the limits are compared with -------------------------------------------------


def ranges(run: RunRecording) -> dict[str, float]:
    """Return how near a run comes to the limits of UV602, UV603 and UV605."""
    products = elasticities(run)
    starved = [
        _shortfall([values[x.index] for x in layers if x.index in values])
        for layers in trained_groups(run)
        for step, values in products.items()
        if step > 2
    ]
    norms = [v for _, v in run.over(StepQuantity.LOG10_GRAD_NORM) if math.isfinite(v)]
    flat = run.by_layer.get(LayerQuantity.SATURATED_FRACTION)
    saturated = [
        samples[-1][1]
        for layer in run.layers
        if flat is not None and is_hidden(run, layer) and (samples := list(flat.of(layer)))
    ]
    found = {
        "starved": max(starved, default=math.nan),
        "norm grew": median(norms[-5:]) - median(norms[: len(norms) // 2]) if norms else math.nan,
        "saturated": max(saturated, default=math.nan),
    }
    return {name: round(value, 3) for name, value in found.items() if math.isfinite(value)}


def _shortfall(values: Sequence[float]) -> float:
    """Return by how many decades the first layers all stand below the median of the rest."""
    return max(
        (median(values[count:]) - max(values[:count]) for count in range(1, len(values))),
        default=-math.inf,
    )


# --- the tables --------------------------------------------------------------------------


def table(found: Sequence[Watched], seed: int) -> str:
    """Return the results as Markdown."""
    healthy = [each for each in found if not each.due]
    sick = [each for each in found if each.due]
    errors = [each.error for each in sick if each.error is not None]
    lines = [
        "# How often the diagnosis of a run is right",
        "",
        f"`python -m benchmarks.runs --seed {seed}`: one seed; networks, data, optimisers and "
        "steps as they stand in `benchmarks/runs_healthy.py` and `benchmarks/runs_sick.py`.",
        "",
        "| | runs | of them right | |",
        "|---|---|---|---|",
        f"| healthy | {len(healthy)} | {sum(not each.false for each in healthy)} | not alarmed |",
        f"| sick | {len(sick)} | {len(errors)} | found by the rule that is due |",
        f"| | {len(errors)} | {sum(not each.late for each in sick if each.error is not None)} | "
        "onset within one sample, and what the sickness itself takes |",
        f"| | {len(sick)} | {sum(not each.false for each in sick)} | nothing said to have begun "
        "before the onset |",
        "",
        "These runs were in view while the rules were mended; the limits of the rules are derived, "
        "not fitted to them.",
        "",
        f"Median onset error: {median(errors or [0]):g} steps; largest {max(errors or [0])}.",
        "",
        "## Sick runs",
        "",
        "| run | due | onset | error at every … | root | follows | missed at |",
        "|---|---|---|---|---|---|---|",
    ]
    for rows in _by_name(sick):
        first = rows[0]
        by_cadence = ", ".join(f"{x.every}: {x.error:+d}" for x in rows if x.error is not None)
        missed = ", ".join(str(x.every) for x in rows if x.error is None) or "–"
        roots = _codes(code for x in rows for code, _, _, root in x.said if not root)
        follows = _codes(code for x in rows for code, _, _, root in x.said if root)
        lines.append(
            f"| {first.what} | {first.due} | {first.onset} | {by_cadence} | {roots} | {follows} | "
            f"{missed} |"
        )
    lines += [
        "",
        "The error says how many steps after the onset the finding begins, by cadence.",
        "",
        "## Healthy runs",
        "",
        "| run | at every … | alarmed by | noted | starved | norm grew | saturated |",
        "|---|---|---|---|---|---|---|",
    ]
    for rows in _by_name(healthy):
        alarms = _codes(code for x in rows for code in x.false)
        noted = _codes(code for x in rows for code, _, _, _ in x.said if code not in x.false)
        cadences = ", ".join(str(x.every) for x in rows)
        widest = [
            max((x.ranges[name] for x in rows if name in x.ranges), default=None)
            for name in ("starved", "norm grew", "saturated")
        ]
        cells = " | ".join("–" if value is None else f"{value:.2g}" for value in widest)
        lines.append(f"| {rows[0].what} | {cadences} | {alarms} | {noted} | {cells} |")
    lines += [
        "",
        "*starved*: by how many decades all first layers stand below the median of the later ones, "
        "in |gradient| |weights|, at the worst sample from step 4 on (limit of UV602: 3). *norm "
        "grew*: the gradient's norm at the end over the first half, in decades (UV603: 3). "
        "*saturated*: the largest share of a hidden activation at the end (UV605: 0.5).",
        "",
    ]
    return "\n".join(lines)


def _by_name(found: Sequence[Watched]) -> Iterable[list[Watched]]:
    for name in dict.fromkeys(each.name for each in found):
        yield [each for each in found if each.name == name]


def _codes(codes: Iterable[str]) -> str:
    return ", ".join(sorted(set(codes))) or "–"


def main() -> None:
    """Train and watch everything, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, nargs="+", default=None)
    parser.add_argument("--only", nargs="+", default=())
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    jobs: list[tuple[str, Sequence[int], Callable[[int], Watched]]] = []
    for loop in HEALTHY:
        jobs.append((loop.__name__, CADENCES, _of(on_healthy, loop, options.seed)))
    for sick in SICK:
        cadences = SPIKE_CADENCES if sick.code == "UV612" else CADENCES
        jobs.append((sick.name, cadences, _of(on_sick, sick, options.seed)))
    found = []
    for name, cadences, job in jobs:
        for every in options.every or cadences:
            if options.only and name not in options.only:
                continue
            one = job(every)
            found.append(one)
            result = f"{one.error:+d}" if one.error is not None else "missed" if one.due else "-"
            print(
                f"{name:24} {every:3}  {one.due or 'healthy':8} {result:>7}  "
                f"false {','.join(one.false) or '-'}  {one.seconds:.1f} s",
                flush=True,
            )
    if options.only:
        return
    RESULTS.mkdir(exist_ok=True)
    rows = [{k: v for k, v in asdict(each).items() if k != "seconds"} for each in found]
    (RESULTS / "runs.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "runs.md").write_text(table(found, options.seed), encoding="utf-8")


def _of(
    judge: Callable[[Any, int, int], Watched], what: Any, seed: int
) -> Callable[[int], Watched]:
    return lambda every: judge(what, every, seed)


if __name__ == "__main__":
    main()
