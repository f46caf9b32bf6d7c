"""What every remedy does to every sick network of the zoo, before any training.

    python -m benchmarks.remedies [--jobs 2] [--only NAME ...] [--seed 0]

Each remedy that fits is applied to a copy of each sick patient of the development half, alone and
whether or not it is offered for what the patient has. The copy is looked at as `unvanish fix`
looks at it: one batch, one probe step. Held fixed: seed, batch, weights before the remedy. Writes
results/remedies.json (every pair, patient by patient, so that a run that was cut short goes on
where it was) and results/remedies.md (the table by remedy, and by remedy and
sickness).

- *flow*: decades by which the gradient changes on its way from the outputs to the worst layer,
  before and after, medians over the patients; in brackets what theory predicts for the treated
  network, where it can follow it;
- *alike*: cosine between the outputs of two samples, before and after, medians;
- *time*, *parameters*: of one forward and backward pass, after over before, medians;
- *cured*: patients in which no finding is left, among those that the remedy is offered for.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.accuracy import strict, table

RESULTS = Path("results")
SHOWN = ("UV101", "UV102", "UV103", "UV201", "UV202", "UV301", "UV401", "UV404")


def tried(job: tuple[str, int]) -> list[dict[str, Any]]:
    """Try every remedy on one patient; a failure is a result."""
    import torch

    from unvanish.core.errors import UnvanishError
    from unvanish.recipe import load
    from unvanish.treat import prescribe
    from unvanish.treat.registry import remedies

    torch.set_num_threads(1)
    name, seed = job
    start = time.process_time()
    recipe = load(f"zoo:{name}", seed=seed)
    with recipe.running():
        try:
            advice = prescribe(
                recipe.model,
                None,
                recipe.batch,
                recipe.loss,
                optimizer=recipe.optimizer,
                names=[remedy.name for remedy in remedies()],
                seed=seed,
            )
        except UnvanishError as error:
            return [{"patient": name, "refused": error.what}]
        rows = []
        offered = {remedy.name: remedy.treats for remedy in remedies()}
        worrying = sorted(c for c, s in advice.before.findings.items() if s != "note")
        for option in advice.options:
            row: dict[str, Any] = {
                "patient": name,
                "remedy": option.name,
                "findings": worrying,
                "offered": bool(offered[option.name] & set(worrying)),
                "failed": option.failed,
            }
            if option.outlook is not None:
                left = sorted(c for c, s in option.outlook.findings.items() if s != "note")
                row |= {
                    "left": left,
                    "cured": bool(worrying) and not left,
                    "flow": [advice.before.flow_decades, option.outlook.flow_decades],
                    "predicted": predicted(recipe, option.name, seed)
                    if row["offered"]
                    else math.nan,
                    "alike": [advice.before.sample_cosine, option.outlook.sample_cosine],
                    "time": option.outlook.milliseconds / advice.before.milliseconds,
                    "parameters": option.outlook.parameters / max(1, advice.before.parameters),
                }
            rows.append(row)
    rows.append(
        {
            "patient": name,
            "refusals": dict(advice.refused),
            "cpu_seconds": round(time.process_time() - start, 1),
        }
    )
    return rows


def predicted(recipe: Any, remedy: str, seed: int) -> float:
    """Return what theory says of the flow in the treated network; nan where it does not."""
    from unvanish import diagnose, explain, trace
    from unvanish.treat import treat

    try:
        treated = treat(
            recipe.model, remedy, recipe.batch, recipe.loss, optimizer=recipe.optimizer, seed=seed
        )
        look = trace(treated.model, recipe.batch, treated.loss, batches=1, probe_steps=0, seed=seed)
        layers = explain(look, diagnose(look)).prediction.layers
    except Exception:
        return math.nan
    return max((layer.predicted for layer in layers), key=abs, default=math.nan)


def middle(values: Iterable[Any]) -> float:
    """Return the median of the numbers among some values; a file holds None for nan."""
    known = [float(v) for v in values if v is not None and not math.isnan(float(v))]
    return median(known) if known else math.nan


def number(value: float, form: str = "+.1f") -> str:
    """Return a number for a table; nothing where it is not known."""
    return "" if math.isnan(value) else "0 arrives" if value == -math.inf else format(value, form)


def pairs(rows: Sequence[Mapping[str, Any]], key: str, form: str) -> str:
    """Return the medians of a quantity before and after."""
    before, after = (middle(row[key][i] for row in rows) for i in (0, 1))
    return f"{number(before, form)} → {number(after, form)}" if rows else ""


def by_remedy(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return one line for every remedy that was applied to a patient it is offered for."""
    lines = []
    for remedy in dict.fromkeys(row["remedy"] for row in rows):
        mine = [row for row in rows if row["remedy"] == remedy and row["offered"]]
        done = [row for row in mine if not row["failed"]]
        if not mine:
            continue
        theory = middle(row["predicted"] for row in done)
        told = f" ({number(theory)})" if not math.isnan(theory) else ""
        lines.append(
            [
                remedy,
                f"{sum(row['cured'] for row in done)} of {len(mine)}",
                pairs(done, "flow", "+.1f") + told,
                pairs(done, "alike", ".3f"),
                number(middle(row["time"] for row in done), ".2f"),
                number(middle(row["parameters"] for row in done), ".3f"),
            ]
        )
    return lines


def by_sickness(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return, for every remedy and code, how often the code is gone afterwards."""
    lines = []
    for remedy in dict.fromkeys(row["remedy"] for row in rows):
        done = [row for row in rows if row["remedy"] == remedy and not row["failed"]]
        cells = []
        for code in SHOWN:
            ill = [row for row in done if code in row["findings"]]
            gone = sum(code not in row["left"] for row in ill)
            cells.append(f"{gone}/{len(ill)}" if ill else "")
        if any(cells):
            lines.append([remedy, *cells])
    return lines


def written(rows: Sequence[Mapping[str, Any]], command: str) -> str:
    """Return the tables."""
    applied = [row for row in rows if "remedy" in row]
    patients = len({row["patient"] for row in rows})
    failed = [row for row in applied if row["failed"]]
    lines = [
        "# Remedies on the zoo, before any training",
        "",
        f"`{command}`",
        "",
        f"{patients} sick patients of the development half, one seed. {len(applied)} pairs of "
        f"remedy and patient, of which {len(failed)} could not be applied.",
        "",
        *table(
            ["remedy", "cured", "flow in decades (theory)", "alike", "time", "parameters"],
            by_remedy(applied),
        ),
        "",
        "Patients whose finding is gone, of those that have it; offered for it or not:",
        "",
        *table(["remedy", *SHOWN], by_sickness(applied)),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the benchmark."""
    from unvanish.zoo.patient import Half, half_of, patient_of, patients

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=())
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    names = [
        name
        for name in patients()
        if patient_of(name).is_sick and half_of(name) is Half.DEVELOPMENT
        if not options.only or name in options.only
    ]
    command = "python -m benchmarks.remedies" + (f" --seed {options.seed}" if options.seed else "")
    rows = [] if options.only else kept(command)
    done = {row["patient"] for row in rows}
    RESULTS.mkdir(exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        waiting = [(name, options.seed) for name in names if name not in done]
        for found in pool.imap_unordered(tried, waiting):
            rows += found
            print(f"{found[-1]['patient']}: {found[-1].get('cpu_seconds')} s", file=sys.stderr)
            if not options.only:
                document = {"command": command, "rows": strict(rows)}
                (RESULTS / "remedies.json").write_text(json.dumps(document, indent=1) + "\n")
    rows.sort(key=lambda row: names.index(row["patient"]))
    text = written(rows, command)
    print(text)
    if not options.only:
        (RESULTS / "remedies.md").write_text(text)


def kept(command: str) -> list[dict[str, Any]]:
    """Return the rows of an earlier run of the same command that did not come to its end."""
    file = RESULTS / "remedies.json"
    if not file.exists() or (RESULTS / "remedies.md").exists():
        return []
    document = json.loads(file.read_text())
    rows: list[dict[str, Any]] = document["rows"] if document["command"] == command else []
    return rows


if __name__ == "__main__":
    main()
