"""How often a cure cures: every patient of the zoo, beside two other policies.

    python -m benchmarks.cures [--jobs 2] [--only NAME ...] [--half development|reserved] [--fresh]
        [--without-rivals]

writes results/cures.json (one entry a patient, so that a run that was cut short goes on where it
was; `--fresh` begins anew) and results/cures.md.

What `unvanish cure` comes back with is judged by somebody else: three fresh seeds, the treated
network, optimiser and loss from `build`, `optimizer` and `loss`, and the training loop, data,
budget of steps and held-out metric of the patient's own file. Counted as *cured* is a sick patient
that reaches the goal of its file on at least two of the three seeds; as *changed*, a healthy one
that anything at all is done to; as *harmed*, a patient whose median metric falls below that of the
untouched control by more than the larger of one point (of the metric's range between control and
known cure) and the spread of the control.

Beside it stand, under the same judge:

- *nothing*: the control, trained anew;
- *known cure*: what the patient's file says;
- *by lot*: random search of equal budget: fitting remedies and rates drawn by lot, as many full
  runs as the trial of `cure` spent on choosing, the best of them by the validation part;
- *first silent edit*: the policy of AutoTrainer (Zhang et al. 2021): its list of repairs for the
  problem, in its order, each trained in full; the first after which the monitor (our own check of
  the trained network, which is kinder than theirs) is silent is kept, whatever the metric.

`--without-rivals` leaves out the last two, which take most of the time; shares are of the patients
that a policy was tried on.

Held fixed: steps of a run, frozen data and split, seeds. Times are wall seconds with `--jobs`
processes.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.accuracy import strict, table

RESULTS = Path("results")
JUDGING_SEEDS = (901, 902, 903)
"""Seeds that neither the trial nor the budget of the zoo uses."""

AUTOTRAINER: Mapping[str, Sequence[tuple[str, ...]]] = {
    "UV101": (("lecun", "selu"), ("he", "relu"), ("batch-norm",)),
    "UV102": (("lecun", "selu"), ("relu",), ("clip-value",), ("batch-norm",)),
    "UV202": (("lecun", "selu"), ("batch-norm",), ("he",), ("leaky-relu",), ("elu",)),
    "UV404": (("learning-rate-range",), ("he",)),
    "UV204": (("drop-inner-softmax",), ("logits-loss",)),
    "UV503": (("standardise-input",),),
}
"""AutoTrainer's repairs (its strategy "balance") by the finding that is nearest to its problem."""
SLOW_CONVERGENCE = (("soap",), ("learning-rate-range",), ("he",))
"""What it does where nothing else is found: another optimiser, another rate, another start."""


def judged(name: str, seed: int, parts: Any) -> float:
    """Train a network as the patient's file trains, and return its metric.

    Args:
        name: The patient.
        seed: Seed of weights and data order.
        parts: Seed to network, optimiser and loss.
    """
    import torch
    from torch import nn

    from unvanish.observe.batch import as_batch, call_model
    from unvanish.observe.loss import compute_loss
    from unvanish.recipe import seeded
    from unvanish.zoo.patient import module_of

    module = module_of(name)
    with seeded(seed):
        model, optimizer, loss, clip, autocast = parts(seed)
        model.train()
        steps, epoch = 0, 0
        while steps < module.PATIENT.steps:
            for raw in module.data(1000 * seed + epoch):
                batch = as_batch(raw, model)
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast("cpu", getattr(torch, autocast or "bfloat16"), bool(autocast)):
                    value = compute_loss(loss, call_model(model, batch.inputs), batch)[0]
                if not math.isfinite(float(value.detach())):
                    return math.nan
                if value.grad_fn is not None:
                    value.backward()
                if clip is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), clip)
                optimizer.step()
                steps += 1
                if steps == module.PATIENT.steps:
                    break
            epoch += 1
        model.eval()
        return float(module.metric(model))


def of_experiment(experiment: Any, remedies: Sequence[str], rate: float) -> Any:
    """Return what builds a treated network for the judge."""
    from unvanish.core.proofs import Job

    def parts(seed: int) -> Any:
        subject = experiment.subject(Job(remedies=tuple(remedies), rate_factor=rate, seed=seed))
        return (
            subject.model,
            subject.optimizer,
            subject.loss,
            subject.clip_grad_norm,
            subject.autocast,
        )

    return parts


def verdict(name: str, parts: Any) -> dict[str, Any]:
    """Return the metric on every judging seed, and whether the goal is reached."""
    from unvanish.zoo.patient import module_of

    module = module_of(name)
    metrics: list[float] = []
    for seed in JUDGING_SEEDS:
        try:
            metrics.append(judged(name, seed, parts))
        except Exception:  # a network that breaks in the judge's hands has not been cured
            metrics.append(math.nan)
    sign = 1.0 if module.HIGHER_IS_BETTER else -1.0
    reached = [sign * value >= sign * module.GOAL for value in metrics]
    return {"metrics": metrics, "reached": sum(reached) >= 2}


def examined(name: str, jobs: int, *, rivals: bool = True) -> dict[str, Any]:
    """Cure one patient, and have it and the other policies judged."""
    from unvanish import cure
    from unvanish.core.errors import UnvanishError
    from unvanish.zoo.patient import half_of, patient_of

    patient = patient_of(name)
    row: dict[str, Any] = {
        "patient": name,
        "half": half_of(name).value,
        "family": patient.family,
        "codes": list(patient.codes),
    }
    start = time.perf_counter()
    try:
        found = cure(f"zoo:{name}", steps=patient.steps, jobs=jobs, resume=False)
    except UnvanishError as error:
        return row | {"crash": f"refused: {error.what}", "seconds": time.perf_counter() - start}
    except Exception:
        return row | {"crash": traceback.format_exc(), "seconds": time.perf_counter() - start}
    row |= {"seconds": time.perf_counter() - start, **told(found)}
    experiment = found.experiment
    if experiment is None:
        return row
    policies = ["nothing", "cure"]
    if patient.is_sick:
        policies += ["known cure", *(RIVALS if found.proof and rivals else ())]
    if not found.is_changed:
        policies.remove("cure")
    context = multiprocessing.get_context("fork")
    with context.Pool(jobs, initializer=hold, initargs=(found,)) as pool:
        done = pool.starmap(under, [(name, policy) for policy in policies], chunksize=1)
    row |= dict(zip(policies, done, strict=True))
    row.setdefault("cure", row["nothing"])
    return row


def told(found: Any) -> dict[str, Any]:
    """Return what a cure says of itself."""
    return {
        "verdict": found.conclusion.value,
        "said": found.said,
        "remedies": list(found.remedies),
        "rate_factor": found.rate_factor,
        "agrees": found.patch.agrees if found.patch else None,
    }


HELD: list[Any] = []
"""The cure that a judging process was forked with."""


def hold(found: Any) -> None:
    """Keep a cure for the process, which works on one thread."""
    import torch

    torch.set_num_threads(1)
    HELD.append(found)


def under(name: str, policy: str) -> dict[str, Any]:
    """Return what the judge says of a patient under a policy."""
    from unvanish.zoo.training import train

    found = HELD[0]
    if policy == "nothing":
        return verdict(name, of_experiment(found.experiment, (), 1.0))
    if policy == "cure":
        return verdict(name, of_experiment(found.experiment, found.remedies, found.rate_factor))
    if policy == "by lot":
        return by_lot(name, found)
    if policy == "first silent edit":
        return first_silent(name, found)
    known = [train(name, cured=True, seed=seed) for seed in JUDGING_SEEDS]
    return {
        "metrics": [outcome.metric for outcome in known],
        "reached": sum(outcome.reached for outcome in known) >= 2,
    }


def by_lot(name: str, found: Any) -> dict[str, Any]:
    """Search by lot with as many full runs as the trial spent on choosing."""
    from unvanish.core.proofs import Job
    from unvanish.prove.plan import RATES
    from unvanish.prove.shortlist import fitting
    from unvanish.prove.training import execute

    tries = [run for arm in found.proof.arms for run in arm.tries]
    count = max(2, round(sum(run.job.steps for run in tries) / found.proof.steps))
    names = fitting(found.advice)
    if not names:
        return verdict(name, of_experiment(found.experiment, (), 1.0))
    draw = random.Random(name)
    best: tuple[float, tuple[str, ...], float] = (-math.inf, (), 1.0)
    for _ in range(count):
        remedies, rate = (draw.choice(names),), draw.choice(RATES)
        job = Job(remedies=remedies, rate_factor=rate, seed=1, steps=found.proof.steps)
        run = execute(found.experiment, job)
        if not math.isnan(run.validation) and run.validation > best[0]:
            best = (run.validation, remedies, rate)
    done = verdict(name, of_experiment(found.experiment, best[1], best[2]))
    return done | {"remedies": list(best[1]), "rate_factor": best[2], "runs": count}


def first_silent(name: str, found: Any) -> dict[str, Any]:
    """Take AutoTrainer's repairs in their order, and keep the first that silences the check."""
    from unvanish.core.proofs import Job
    from unvanish.diagnose import diagnose
    from unvanish.prove.training import execute

    codes = [root.code for root in diagnose(found.before).roots]
    repairs: list[tuple[str, ...]] = [r for code in codes for r in AUTOTRAINER.get(code, ())]
    for number, repair in enumerate([*repairs, *SLOW_CONVERGENCE], start=1):
        job = Job(remedies=repair, seed=1, steps=found.proof.steps, examined=True)
        run = execute(found.experiment, job)
        if run.failed or run.diverged or run.end is None:
            continue
        if all(severity == "note" for severity in run.end.findings.values()):
            done = verdict(name, of_experiment(found.experiment, repair, 1.0))
            return done | {"remedies": list(repair), "runs": number}
    done = verdict(name, of_experiment(found.experiment, (), 1.0))
    return done | {"remedies": [], "runs": number}


def shortfall(row: Mapping[str, Any]) -> float:
    """Return by how much the known cure is better than ours, medians, in the metric's unit."""
    from unvanish.zoo.patient import module_of

    sign = 1.0 if module_of(row["patient"]).HIGHER_IS_BETTER else -1.0
    ours, known = (middle(row[arm]["metrics"], sign) for arm in ("cure", "known cure"))
    return sign * (known - ours)


def middle(metrics: Sequence[float | None], sign: float) -> float:
    """Return the median, where a run that came to nothing counts as the worst."""
    values = [-sign * math.inf if m is None or math.isnan(m) else float(m) for m in metrics]
    return median(values)


def is_harmed(row: Mapping[str, Any]) -> bool:
    """Tell whether a patient is worse off than without us."""
    from unvanish.zoo.patient import module_of

    if not (row.get("remedies") or row.get("rate_factor", 1.0) != 1.0):
        return False
    sign = 1.0 if module_of(row["patient"]).HIGHER_IS_BETTER else -1.0
    control = [m for m in row["nothing"]["metrics"] if m is not None and not math.isnan(m)]
    if not control:
        return False
    spread = max(control) - min(control)
    known = row.get("known cure", row["nothing"])["metrics"]
    point = 0.01 * abs(middle(known, sign) - middle(control, sign))
    loss = sign * (middle(control, sign) - middle(row["cure"]["metrics"], sign))
    return loss > max(point, spread) and not row["cure"]["reached"]


RIVALS = ("by lot", "first silent edit")
POLICIES = ("nothing", "by lot", "first silent edit", "cure", "known cure")


def page(rows: Sequence[Mapping[str, Any]], command: str) -> str:
    """Return the tables."""
    sick = [row for row in rows if row["codes"]]
    healthy = [row for row in rows if not row["codes"]]
    lines = ["# Cures", "", f"`{command}`", "", "What each word means stands in the file.", ""]
    lines += table(
        ["half", "policy", "reach the goal", "median wall seconds"],
        [
            [
                half,
                policy,
                share(mine, policy),
                f"{median(r['seconds'] for r in mine):.0f}" if policy == "cure" else "",
            ]
            for half in ("development", "reserved")
            if (mine := [row for row in sick if row["half"] == half])
            for policy in POLICIES
        ],
    )
    changed = [r["patient"] for r in healthy if r.get("remedies") or r.get("rate_factor", 1) != 1]
    crashed = [r["patient"] for r in rows if "crash" in r]
    harmed = [r["patient"] for r in rows if "cure" in r and is_harmed(r)]
    behind = [r for r in sick if "cure" in r and r["cure"]["reached"] and shortfall(r) > 0.01]
    lines += [
        "",
        f"- sick patients: {len(sick)}; healthy patients: {len(healthy)}; the others of the zoo "
        "have not been tried yet",
        f"- healthy patients that were changed: {len(changed)} {named(changed)}",
        f"- harmed: {len(harmed)} {named(harmed)}",
        f"- crashed or refused: {len(crashed)} {named(crashed)}",
        f"- cured, but more than 0.01 of the metric behind the known cure: {len(behind)} of "
        f"{sum(r['cure']['reached'] for r in sick if 'cure' in r)} "
        f"{named([r['patient'] for r in behind])}",
        "",
        "## By sickness",
        "",
    ]
    codes = sorted({row["codes"][0] for row in sick})
    lines += table(
        ["root", "patients", *POLICIES],
        [
            [code, str(len(mine)), *(share(mine, policy) for policy in POLICIES)]
            for code in codes
            if (mine := [row for row in sick if row["codes"][0] == code])
        ],
    )
    lines += ["", "## By patient", ""]
    lines += table(
        ["patient", "half", "root", "verdict", "edit", *POLICIES, "seconds"],
        [
            [
                row["patient"],
                row["half"][:3],
                row["codes"][0] if row["codes"] else "healthy",
                row.get("verdict", "crash"),
                edit(row),
                *(metric(row.get(policy)) for policy in POLICIES),
                f"{row['seconds']:.0f}",
            ]
            for row in rows
        ],
    )
    return "\n".join(lines) + "\n"


def share(rows: Sequence[Mapping[str, Any]], policy: str) -> str:
    """Return how many of the patients a policy was tried on reach their goal under it."""
    tried = [row for row in rows if policy in row or policy not in RIVALS]
    count = sum(bool(row.get(policy, {}).get("reached")) for row in tried)
    return f"{count} of {len(tried)} ({100 * count / len(tried):.1f} %)" if tried else ""


def edit(row: Mapping[str, Any]) -> str:
    """Return what was done, in a few words."""
    from unvanish.core.proofs import name_of

    words = name_of(row.get("remedies", ()), row.get("rate_factor", 1.0))
    return "" if words == "control" else words


def metric(found: Mapping[str, Any] | None) -> str:
    """Return the median metric, marked where the goal is reached."""
    if found is None:
        return ""
    values = [v for v in found["metrics"] if v is not None and not math.isnan(v)]
    return (f"{median(values):.3g}" if values else "none") + (" ✓" if found["reached"] else "")


def named(names: Sequence[str]) -> str:
    """Return some names in brackets; nothing where there are none."""
    return f"({', '.join(names)})" if names else ""


def todo(arguments: argparse.Namespace, done: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the patients that are still to be cured."""
    from unvanish.zoo.patient import half_of, patient_of, patients

    known = {row["patient"] for row in done}

    def turn(name: str) -> tuple[str, bool]:
        return half_of(name).value, not patient_of(name).is_sick

    for name in arguments.only or sorted(patients(), key=turn):
        if name not in known and arguments.half in {"", half_of(name).value}:
            yield name


def main() -> None:
    """Run what is left to run, and write both files after every patient."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--half", default="", choices=["", "development", "reserved"])
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--without-rivals", action="store_true")
    parser.add_argument("--save", default="cures", metavar="NAME")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    file = RESULTS / f"{arguments.save}.json"
    rows: list[dict[str, Any]] = []
    if file.exists() and not arguments.fresh:
        rows = json.loads(file.read_text(encoding="utf-8"))["patients"]
    for name in todo(arguments, rows):
        row = examined(name, arguments.jobs, rivals=not arguments.without_rivals)
        rows = sorted([*rows, strict(row)], key=lambda each: each["patient"])
        document = {"torch": torch.__version__, "jobs": arguments.jobs, "patients": rows}
        file.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        text = page(rows, f"python -m benchmarks.cures --jobs {arguments.jobs}")
        file.with_suffix(".md").write_text(text, encoding="utf-8")
        print(name, row.get("verdict", "crash"), edit(row), f"{row['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
