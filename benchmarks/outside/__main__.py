"""How often `unvanish check` is right on networks nobody tuned it on.

    python -m benchmarks.outside [--jobs 2] [--only NAME ...] [--corpus NAME]

writes results/outside.json and results/outside.md; with `--corpus` and `--save NAME`,
results/NAME.json and results/NAME.md. Every case is one call of the command in
a process of its own, as a user would make it. Findings below a warning are left aside.

- sick, *found*: one of the codes an expert would accept is among the findings, and the
  command ends with 1;
- *cause right*: the first finding with such a code names an accepted cause first (a case
  may list none, where the vocabulary has no word for it; it is left out of this share);
- *false alarm*: a finding on a healthy network;
- *crash*: any exit code but 0, 1 and 3, or a traceback. A case that exits with 3 was not
  fully measured; it counts as not found, and as no alarm.

Recall is found / sick. Precision is found / (found + healthy ones with an alarm).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.accuracy import percent, share, strict, table

HERE = Path(__file__).parent
CORPORA = {
    "first": ("sick", "healthy"),
    "second": ("second",),
    "third": ("third",),
    "fourth": ("fourth",),
    "fifth": ("fifth",),
    "sixth": ("sixth_a", "sixth_b"),
    "seventh": ("seventh_a", "seventh_b"),
}
RESULTS = Path("results")
LIMIT_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Case:
    """One network and what is known about it."""

    name: str
    args: Sequence[str]
    codes: Sequence[str]
    causes: Sequence[str]
    why: str
    evidence: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the command said about one case."""

    case: Case
    exit: int
    found: Sequence[str] = ()
    notes: Sequence[str] = ()
    cause: str = ""
    crash: str = ""
    seconds: float = 0.0

    @property
    def is_found(self) -> bool:
        """Whether an accepted code is among the findings."""
        return self.exit == 1 and any(code in self.found for code in self.case.codes)

    @property
    def is_cause_right(self) -> bool:
        """Whether the finding with the accepted code names an accepted cause first."""
        return self.is_found and self.cause in self.case.causes

    @property
    def is_false_alarm(self) -> bool:
        """Whether a healthy network was called sick."""
        return not self.case.codes and bool(self.found)


def cases(corpus: str = "") -> list[Case]:
    """Read the manifests: all of them, or those of one corpus."""
    chosen = CORPORA[corpus] if corpus else [name for names in CORPORA.values() for name in names]
    manifests = (HERE / f"{name}.toml" for name in chosen)
    return [
        Case(**entry)
        for manifest in manifests
        if manifest.exists()
        for entry in tomllib.loads(manifest.read_text())["case"]
    ]


def examine(case: Case) -> Outcome:
    """Call the command on one case."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "unvanish", "check", *case.args, "--format", "json"]
    command += ["--remedies", "none"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command,
            cwd=HERE,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Outcome(
            case=case, exit=124, crash="took too long", seconds=time.perf_counter() - start
        )
    seconds = time.perf_counter() - start
    is_answer = done.returncode in (0, 1, 3) and "Traceback (most recent" not in done.stderr
    try:
        answer = json.loads(done.stdout) if is_answer else None
    except json.JSONDecodeError:
        answer = None
    if answer is None:
        return Outcome(case=case, exit=done.returncode, crash=done.stderr[-2000:], seconds=seconds)
    loud = [f for f in answer["findings"] if f["severity"] in ("warning", "error")]
    accepted = next((f for f in loud if f["code"] in case.codes), None)
    return Outcome(
        case=case,
        exit=done.returncode,
        found=tuple(dict.fromkeys(f["code"] for f in loud)),
        notes=tuple(dict.fromkeys(f["code"] for f in answer["findings"] if f not in loud)),
        cause=accepted["causes"][0] if accepted and accepted["causes"] else "",
        seconds=seconds,
    )


def summary(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Count all cases."""
    sick = [o for o in outcomes if o.case.codes]
    healthy = [o for o in outcomes if not o.case.codes]
    found = sum(o.is_found for o in sick)
    alarmed = sum(o.is_false_alarm for o in healthy)
    return {
        "sick": len(sick),
        "found": found,
        "healthy": len(healthy),
        "alarmed": alarmed,
        "recall": share(found, len(sick)),
        "precision": share(found, found + alarmed),
        "cause_right": share(
            sum(o.is_cause_right for o in sick), sum(o.is_found for o in sick if o.case.causes)
        ),
        "crashes": sum(bool(o.crash) for o in outcomes),
        "incomplete": sum(o.exit == 3 for o in outcomes),
    }


def written(counts: dict[str, Any], outcomes: Sequence[Outcome], arguments: str = "") -> str:
    """Return the whole page."""
    command = f"`python -m benchmarks.outside{arguments}`"
    lines = ["# Networks in other people's styles", "", command, ""]
    lines += table(
        ("sick", "recall", "cause right", "healthy", "alarmed", "precision", "exit 3", "crashes"),
        [
            (
                counts["sick"],
                percent(counts["recall"]),
                percent(counts["cause_right"]),
                counts["healthy"],
                counts["alarmed"],
                percent(counts["precision"]),
                counts["incomplete"],
                counts["crashes"],
            )
        ],
    )
    lines += ["", "## Every case", ""]
    lines += table(
        ("case", "accepted", "found", "notes", "cause", "right"),
        [
            (
                o.case.name,
                " ".join(o.case.codes) or "healthy",
                "crash" if o.crash else " ".join(o.found),
                " ".join(o.notes),
                o.cause,
                "yes" if not o.crash and is_right(o) else "**no**",
            )
            for o in outcomes
        ],
    )
    return "\n".join(lines) + "\n"


def is_right(outcome: Outcome) -> bool:
    """Whether the sick one was found with its cause, or the healthy one left in peace."""
    if not outcome.case.codes:
        return not outcome.is_false_alarm
    return outcome.is_cause_right if outcome.case.causes else outcome.is_found


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--corpus", choices=list(CORPORA), default="")
    parser.add_argument("--save", default="", help="name of the results of one corpus")
    arguments = parser.parse_args()
    only = arguments.only
    work = [c for c in cases(arguments.corpus) if not only or c.name in only]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        outcomes = list(pool.map(examine, work))
    counts = summary(outcomes)
    chosen = f" --corpus {arguments.corpus}" if arguments.corpus else ""
    page = written(counts, outcomes, chosen)
    print(page)
    partial = only or arguments.corpus
    name = arguments.save or ("" if partial else "outside")
    if not name:
        return
    RESULTS.mkdir(exist_ok=True)
    result = {"summary": counts, "outcomes": [asdict(o) for o in outcomes]}
    text = json.dumps(strict(result), indent=1, allow_nan=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    (RESULTS / f"{name}.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
