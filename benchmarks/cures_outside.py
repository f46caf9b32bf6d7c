"""How often a cure cures networks that nobody tuned it on.

    python -m benchmarks.cures_outside [--jobs 2] [--corpus alpha ...] [--only NAME ...] [--fresh]

writes results/cures_outside.json (one entry a network, so that a run that was cut short goes on
where it was; `--fresh` begins anew) and results/cures_outside.md.

The networks in benchmarks/outside_cures were written by people who had read the manual and no line
of unvanish, and had run no tool on them. What a user would have stands in NAME.py, and the tool
sees nothing else; what only the judge has stands in NAME_truth.py: how long to train, a metric on
held-out samples, the goal, whether the network is sick, and the cure an expert would choose.

Each is cured once, as `unvanish cure NAME.py` does without options. What comes back is judged as
someone would who doubts it: `build(seed)`, `optimizer(model)` and `loss` on three fresh seeds, in
the plainest training loop there is, on the data and steps of the files. Counted as

- *cured*, a sick network that reaches the goal on at least two of the three seeds;
- *changed*, a healthy one that anything at all is done to;
- *harmed*, one that reached its goal on more seeds without us.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.accuracy import percent, strict, table
from benchmarks.cures import JUDGING_SEEDS, RESULTS, edit, metric, named, told

HERE = Path(__file__).parent / "outside_cures"
LIMIT_SECONDS = 900


def cases() -> list[tuple[str, str]]:
    """Return corpus and name of every network."""
    found = sorted(HERE.glob("*/*_truth.py"))
    return [(truth.parent.name, truth.stem.removesuffix("_truth")) for truth in found]


def judged(target: str, truth: Any, seed: int, parts: Any) -> float:
    """Train a network in the plainest loop, and return the held-out metric.

    Args:
        target: The file with the data.
        truth: What only the judge has.
        seed: Seed of weights and data order.
        parts: Returns network, optimiser and loss; called after torch was seeded.
    """
    import torch

    from unvanish.observe.batch import as_batch, call_model
    from unvanish.observe.loss import compute_loss
    from unvanish.recipe import load

    recipe = load(target, seed=seed)
    assert recipe.batch is not None, f"{target} has no data()"
    data = list(islice(chain([recipe.batch], recipe.data or ()), truth.STEPS))
    torch.manual_seed(seed)
    model, optimizer, loss = parts(seed)
    model.train()
    steps = 0
    while steps < truth.STEPS:
        for raw in data:
            batch = as_batch(raw, model)
            optimizer.zero_grad(set_to_none=True)
            value = compute_loss(loss, call_model(model, batch.inputs), batch)[0]
            if not math.isfinite(float(value.detach())):
                return math.nan
            if value.grad_fn is not None:
                value.backward()
            if recipe.clip_grad_norm is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_grad_norm)
            optimizer.step()
            steps += 1
            if steps >= truth.STEPS:
                break
    model.eval()
    with torch.no_grad():
        return float(truth.metric(model))


def verdict(target: str, truth: Any, parts: Any) -> dict[str, Any]:
    """Return the metric on every judging seed, and whether the goal is reached."""
    metrics: list[float] = []
    broken = ""
    for seed in JUDGING_SEEDS:
        try:
            metrics.append(judged(target, truth, seed, parts))
        except Exception:  # a network that breaks in the judge's hands has not been cured
            metrics.append(math.nan)
            broken = traceback.format_exc()
    sign = 1.0 if truth.HIGHER_IS_BETTER else -1.0
    seeds = sum(sign * value >= sign * truth.GOAL for value in metrics)
    found: dict[str, Any] = {"metrics": metrics, "seeds": seeds, "reached": seeds >= 2}
    return found | ({"broken": broken} if broken else {})


def examined(corpus: str, name: str, jobs: int) -> dict[str, Any]:
    """Cure one network, and have it judged beside the control and an expert's cure."""
    import torch

    from unvanish import cure
    from unvanish.core.errors import UnvanishError
    from unvanish.diagnose import diagnose

    torch.set_num_threads(1)
    sys.path.insert(0, str(HERE / corpus))
    truth = importlib.import_module(f"{name}_truth")
    target = str((HERE / corpus / f"{name}.py").relative_to(Path.cwd()))
    row: dict[str, Any] = {
        "name": name,
        "corpus": corpus,
        "sick": bool(truth.SICK),
        "cause": getattr(truth, "CAUSE", ""),
        "goal": truth.GOAL,
    }
    start = time.perf_counter()
    try:
        found = cure(target, jobs=jobs, resume=False)
    except UnvanishError as error:
        found, row["crash"] = None, f"refused: {error}"
    except Exception:
        found, row["crash"] = None, traceback.format_exc()
    row["seconds"] = time.perf_counter() - start

    row["nothing"] = verdict(target, truth, lambda seed: untreated(target, seed))
    if truth.SICK:
        row["known cure"] = verdict(target, truth, lambda _: truth.cured())
    if found is None:
        return row
    row |= {
        **told(found),
        "found": [root.code for root in diagnose(found.before).roots],
        "cure": row["nothing"],
    }
    if found.is_changed:
        row["cure"] = verdict(target, truth, lambda seed: treated(found, seed))
    return row


def untreated(target: str, seed: int) -> Any:
    """Return the parts of a network as it is."""
    from unvanish.recipe import load

    recipe = load(target, seed=seed)
    given = recipe.optimizer
    return recipe.model, given(recipe.model) if callable(given) else given, recipe.loss


def treated(found: Any, seed: int) -> Any:
    """Return the parts of a treated network."""
    model = found.build(seed)
    return model, found.optimizer(model), found.loss


def apart(corpus: str, name: str, jobs: int) -> dict[str, Any]:
    """Do `examined` in a process of its own: two files may have the same name."""
    command = [sys.executable, "-m", "benchmarks.cures_outside", "--one", corpus, name]
    try:
        done = subprocess.run(
            [*command, "--jobs", str(jobs)],
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"name": name, "corpus": corpus, "sick": None, "crash": "it did not come to an end"}
    try:
        row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"name": name, "corpus": corpus, "sick": None, "crash": done.stderr[-3000:]}
    return row


POLICIES = ("nothing", "cure", "known cure")


def is_changed(row: Mapping[str, Any]) -> bool:
    """Tell whether anything was done to a network."""
    return bool(row.get("remedies")) or row.get("rate_factor", 1.0) != 1.0


def page(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the tables."""
    sick = [row for row in rows if row["sick"]]
    healthy = [row for row in rows if row["sick"] is False]
    lines = ["# Cures of networks that nobody tuned them on", ""]
    lines += ["`python -m benchmarks.cures_outside`", "", "What each word means stands there.", ""]
    corpora = sorted({row["corpus"] for row in rows})
    lines += table(
        ["networks by", "sick", *POLICIES, "median seconds", "healthy", "changed"],
        [
            [
                corpus,
                str(len(ill)),
                *(share(ill, policy) for policy in POLICIES),
                f"{median(row['seconds'] for row in ill):.0f}" if ill else "",
                str(len(well)),
                str(sum(map(is_changed, well))),
            ]
            for corpus in corpora
            for ill, well in [
                (
                    [r for r in sick if r["corpus"] == corpus],
                    [r for r in healthy if r["corpus"] == corpus],
                )
            ]
        ],
    )
    harmed = [r["name"] for r in rows if "cure" in r and r["cure"]["seeds"] < r["nothing"]["seeds"]]
    crashed = [r["name"] for r in rows if "crash" in r]
    lines += ["", f"- harmed: {len(harmed)} {named(harmed)}"]
    lines += [f"- crashed or refused: {len(crashed)} {named(crashed)}", "", "## By network", ""]
    lines += table(
        ["network", "by", "goal", "verdict", "edit", *POLICIES, "seconds"],
        [
            [
                row["name"],
                row["corpus"],
                f"{row['goal']:.3g}" if "goal" in row else "",
                row.get("verdict", "crash"),
                edit(row),
                *(metric(row.get(policy)) for policy in POLICIES),
                f"{row.get('seconds', math.nan):.0f}",
            ]
            for row in [*sick, *healthy]
        ],
    )
    return "\n".join(lines) + "\n"


def share(rows: Sequence[Mapping[str, Any]], policy: str) -> str:
    """Return how many of some networks reach their goal under a policy."""
    count = sum(bool(row.get(policy, {}).get("reached")) for row in rows)
    return f"{count} ({percent(count / len(rows))})" if rows else ""


def main() -> None:
    """Run what is left to run, and write both files after every network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--corpus", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--save", default="cures_outside", metavar="NAME")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        corpus, name = arguments.one
        print(json.dumps(strict(examined(corpus, name, arguments.jobs)), allow_nan=False))
        return
    file = RESULTS / f"{arguments.save}.json"
    rows: list[dict[str, Any]] = []
    if file.exists() and not arguments.fresh:
        rows = json.loads(file.read_text(encoding="utf-8"))["networks"]
    known = {(row["corpus"], row["name"]) for row in rows}
    for corpus, name in cases():
        if (corpus, name) in known or (arguments.corpus and corpus not in arguments.corpus):
            continue
        if arguments.only and name not in arguments.only:
            continue
        row = apart(corpus, name, arguments.jobs)
        rows = sorted([*rows, row], key=lambda each: (each["corpus"], each["name"]))
        document = {"jobs": arguments.jobs, "networks": rows}
        file.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        file.with_suffix(".md").write_text(page(rows), encoding="utf-8")
        seconds = f"{row.get('seconds', math.nan):.0f} s"
        print(corpus, name, row.get("verdict", "crash"), edit(row), seconds, flush=True)


if __name__ == "__main__":
    main()
