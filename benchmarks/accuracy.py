"""How often a check is right: every patient of the zoo, over seeds, widths and depths.

    python -m benchmarks.accuracy [--seeds 3] [--jobs 2] [--only NAME ...]

writes results/accuracy.json (every run) and results/accuracy.md (the truth table).

A run is one patient under one seed and one variant; `unvanish check` sees what a user's
file would show it. It is counted as follows, findings below a warning left aside:

- sick, *found*: the patient's root code is among the findings;
- *cause right*: the finding of that code names the patient's primary cause first;
- *root right*: the finding printed first has the root code;
- *false alarm*: any finding on a healthy patient; on a sick one, a finding that is neither
  expected, nor listed among the possible consequences, nor reported as one.

Recall is found / sick runs. Precision is found / (found + runs with a false alarm).
Limits may be set with the development half in view, never with the reserved one; a
checksum of the name decides which half a patient is in.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

RESULTS = Path("results")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One check of one patient, beside what is known about it."""

    patient: str
    half: str
    family: str
    seed: int
    variant: Mapping[str, Any]
    codes: Sequence[str]
    cause: str
    also: Sequence[str]
    found: Sequence[str] = ()
    notes: Sequence[str] = ()
    first: str = ""
    found_cause: str = ""
    not_measured: Sequence[str] = ()
    crash: str = ""
    seconds: float = 0.0
    false: Sequence[str] = field(default=())

    @property
    def is_sick(self) -> bool:
        """Whether something is to be found."""
        return bool(self.codes)

    @property
    def is_found(self) -> bool:
        """Whether the root was found."""
        return self.is_sick and self.codes[0] in self.found

    @property
    def is_cause_right(self) -> bool:
        """Whether the root's primary cause is right."""
        return self.is_found and self.found_cause == self.cause

    @property
    def is_root_first(self) -> bool:
        """Whether the root is what the report begins with."""
        return self.is_found and self.first == self.codes[0]


Job = tuple[str, int, dict[str, Any]]


def jobs(seeds: int, only: Sequence[str]) -> Iterator[Job]:
    """Yield patient, seed and variant: every seed as it is, then each variant at seed 0."""
    from unvanish.zoo.patient import patient_of, patients

    for name in only or patients():
        for seed in range(seeds):
            yield name, seed, {}
        for knob, values in patient_of(name).variants.items():
            for value in values:
                yield name, 0, {knob: value}


def examine(job: Job) -> Run:
    """Check one patient; a failure of the check is a result, not an error."""
    import torch

    from unvanish import checkup
    from unvanish.core.errors import UnvanishError
    from unvanish.core.findings import Severity
    from unvanish.core.verdicts import NotMeasured
    from unvanish.recipe import load, seeded
    from unvanish.zoo.patient import half_of, module_of

    torch.set_num_threads(1)
    name, seed, variant = job
    module = module_of(name)
    patient = module.PATIENT
    run = Run(
        patient=name,
        half=half_of(name).value,
        family=patient.family,
        seed=seed,
        variant=variant,
        codes=patient.codes,
        cause=patient.cause.value if patient.cause else "",
        also=patient.also,
    )
    start = time.perf_counter()
    try:
        recipe = load(f"zoo:{name}", seed=seed)
        if variant:
            with seeded(seed):
                recipe = replace(recipe, model=module.model(**variant))
        report = checkup(recipe, seed=seed)
    except UnvanishError as error:
        return replace(run, crash=f"refused: {error.what}", seconds=time.perf_counter() - start)
    except Exception:
        return replace(run, crash=traceback.format_exc(), seconds=time.perf_counter() - start)
    findings = report.findings
    loud = [f for f in findings if f.severity.rank >= Severity.WARNING.rank]
    found = tuple(dict.fromkeys(f.code for f in loud))
    root = next((f for f in loud if run.codes and f.code == run.codes[0]), None)
    return replace(
        run,
        found=found,
        notes=tuple(dict.fromkeys(f.code for f in findings if f not in loud)),
        first=loud[0].code if loud else "",
        found_cause=root.causes[0].value if root and root.causes else "",
        not_measured=tuple(
            code for code, v in report.diagnosis.verdicts.items() if isinstance(v, NotMeasured)
        ),
        seconds=time.perf_counter() - start,
        false=tuple(
            dict.fromkeys(
                f.code
                for f in loud
                if f.code not in {*run.codes, *run.also} and f.root not in run.codes
            )
        ),
    )


def share(part: int, whole: int) -> float:
    """Return a fraction, or nan of nothing."""
    return part / whole if whole else float("nan")


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """Count one group of runs."""
    sick, healthy = [r for r in runs if r.is_sick], [r for r in runs if not r.is_sick]
    found, false = [r for r in sick if r.is_found], [r for r in runs if r.false]
    return {
        "patients": len({r.patient for r in runs}),
        "runs": len(runs),
        "sick": len(sick),
        "found": len(found),
        "healthy": len(healthy),
        "healthy_alarmed": sum(bool(r.false) for r in healthy),
        "recall": share(len(found), len(sick)),
        "precision": share(len(found), len(found) + len(false)),
        "cause_right": share(sum(r.is_cause_right for r in sick), len(found)),
        "root_first": share(sum(r.is_root_first for r in sick), len(found)),
        "crashes": sum(bool(r.crash) for r in runs),
    }


def by_code(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Count every code on its own: where it had to be found, and where it had no business."""
    codes = sorted({c for r in runs for c in (*r.codes, *r.found)})
    result = {}
    for code in codes:
        due = [r for r in runs if code in r.codes]
        hit = [r for r in due if code in r.found]
        root = [r for r in due if r.codes[0] == code]
        wrong = [r for r in runs if code in r.false]
        result[code] = {
            "due": len(due),
            "found": len(hit),
            "false": len(wrong),
            "recall": share(len(hit), len(due)),
            "precision": share(len(hit), len(hit) + len(wrong)),
            "cause_right": share(
                sum(r.is_cause_right for r in root), sum(r.is_found for r in root)
            ),
        }
    return result


def strict(value: Any) -> Any:
    """Replace what JSON cannot hold: nan becomes null."""
    if isinstance(value, dict):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    return None if value != value else value


def percent(value: float) -> str:
    """Write a fraction as a table does."""
    return "" if value != value else f"{100 * value:.1f} %"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Lay out a markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return [*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)]


def written(result: Mapping[str, Any], runs: Sequence[Run]) -> str:
    """Return the whole page."""
    lines = ["# How often a check is right", "", f"`{result['command']}`", ""]
    lines += table(
        (
            *("half", "patients", "runs", "recall", "precision", "cause right", "root first"),
            *("healthy alarmed", "crashes"),
        ),
        [
            (
                half,
                s["patients"],
                s["runs"],
                percent(s["recall"]),
                percent(s["precision"]),
                percent(s["cause_right"]),
                percent(s["root_first"]),
                f"{s['healthy_alarmed']} of {s['healthy']}",
                s["crashes"],
            )
            for half, s in result["summary"].items()
        ],
    )
    lines += ["", "## By code", ""]
    lines += table(
        ("code", "due", "found", "false", "recall", "precision", "cause right"),
        [
            (
                code,
                s["due"],
                s["found"],
                s["false"],
                percent(s["recall"]),
                percent(s["precision"]),
                percent(s["cause_right"]),
            )
            for code, s in result["codes"].items()
        ],
    )
    lines += ["", "## Truth table", "", "Found in n of n runs; ! marks a false alarm.", ""]
    codes = sorted({c for r in runs for c in (*r.codes, *r.found)})
    rows = []
    for name in sorted({r.patient for r in runs}, key=lambda n: (not _of(runs, n)[0].is_sick, n)):
        mine = _of(runs, name)
        first = mine[0]
        cells = []
        for code in codes:
            count = sum(code in r.found for r in mine)
            mark = "!" if any(code in r.false for r in mine) else ""
            missed = code in first.codes and count < len(mine)
            cells.append(f"{count}/{len(mine)}{mark}" if count or missed else "")
        rows.append((name, first.half, " ".join(first.codes) or "healthy", *cells))
    lines += table(("patient", "half", "expected", *codes), rows)
    return "\n".join(lines) + "\n"


def _of(runs: Sequence[Run], name: str) -> list[Run]:
    return [r for r in runs if r.patient == name]


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--quiet", action="store_true")
    arguments = parser.parse_args()
    work = list(jobs(arguments.seeds, arguments.only))
    runs = []
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        for run in pool.imap(examine, work):
            runs.append(run)
            if not arguments.quiet and (run.false or run.crash or run.is_sick > run.is_found):
                said = run.crash.strip().splitlines()[-1:] or [f"found {' '.join(run.found)}"]
                expected = " ".join(run.codes) or "healthy"
                print(f"{run.patient} {run.seed} {dict(run.variant)}: {expected}; {said[0]}")
    command = f"python -m benchmarks.accuracy --seeds {arguments.seeds}"
    halves = {half: [r for r in runs if r.half == half] for half in ("development", "reserved")}
    result = {
        "command": command,
        "versions": {"python": sys.version.split()[0]},
        "summary": {**{h: summary(rs) for h, rs in halves.items()}, "both": summary(runs)},
        "codes": by_code(runs),
        "runs": [asdict(r) for r in runs],
    }
    page = written(result, runs)
    if arguments.only:
        print(page)
        return
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(strict(result), indent=1, allow_nan=False)
    (RESULTS / "accuracy.json").write_text(text + "\n", encoding="utf-8")
    (RESULTS / "accuracy.md").write_text(page, encoding="utf-8")
    print(page[: page.index("## Truth table")])


if __name__ == "__main__":
    main()
