"""What every remedy does to every sick network of the zoo, before any training.

    python -m benchmarks.remedies [--jobs 1] [--only NAME ...] [--seed 0] [--limit 20]

Each remedy that fits is applied to a copy of each sick patient of the development half, alone and
whether or not it is offered for what the patient has. The copy is looked at as `unvanish fix`
looks at it: one batch, one probe step. Held fixed: seed, batch, weights before the remedy. A pair
that takes more CPU seconds than the limit is a row that says so. Writes results/remedies.json
(every pair, patient by patient, so that a run that was cut short goes on where it was) and
results/remedies.md, which `benchmarks.remedies_page` lays out.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.accuracy import strict
from benchmarks.remedies_page import written

RESULTS = Path("results")
FILE = RESULTS / "remedies.json"
WIDE = 16
"""Units of a layer at least, for its likeness to be set beside theory."""
DIGITS = 4
"""Significant digits of a number in the file."""


class OutOfTimeError(BaseException):
    """A pair took too long. No `Exception`: code that carries on after any error must not."""


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """One patient and the conditions that every remedy finds."""

    name: str
    recipe: Any
    case: Any
    before: Mapping[str, Any]
    seed: int

    def tried(self, remedy: Any) -> dict[str, Any]:
        """Apply a remedy to a copy and look at it; a failure is a result."""
        from unvanish.core.errors import UnvanishError
        from unvanish.core.verdicts import NotApplicable
        from unvanish.observe.optimizer import follow
        from unvanish.treat import treat

        recipe = self.recipe
        offered = sorted(remedy.treats & set(self.before["findings"]))
        row: dict[str, Any] = {"patient": self.name, "remedy": remedy.name, "offered": offered}
        try:
            found = remedy.assess(self.case)
            if isinstance(found, NotApplicable):
                return row | {"refused": found.reason}
            treated = treat(
                recipe.model,
                found,
                recipe.batch,
                recipe.loss,
                optimizer=recipe.optimizer,
                recording=self.case.recording,
                built=recipe.built,
                validate=False,
                seed=self.seed,
            )
            optimizer = treated.optimizer or follow(recipe.optimizer, recipe.model, treated.model)
            after = looked_at(
                treated.model,
                recipe.batch,
                treated.loss,
                self.seed,
                optimizer=optimizer,
                autocast=treated.autocast,
                clip_grad_norm=treated.clip_grad_norm,
            )[1]
        except UnvanishError as error:
            return row | {"failed": error.what}
        except Exception as error:  # what a user would meet belongs into the table
            return row | {"failed": f"{type(error).__name__}: {error}", "crash": True}
        gone = set(self.before["findings"]) - {*after["findings"], *after["unjudged"]}
        come = set(after["findings"]) - set(self.before["findings"])
        return row | {"gone": sorted(gone), "come": sorted(come), "after": after}


def looked_at(
    model: Any, batch: Any, loss: Any, seed: int, **conditions: Any
) -> tuple[tuple[Any, Any], dict[str, Any]]:
    """Look at a network; return recording and diagnosis, and what the table says of it."""
    from unvanish.core.errors import UnvanishError
    from unvanish.diagnose import diagnose
    from unvanish.explain import explain
    from unvanish.explain.composites import collapsed
    from unvanish.observe.tracing import trace
    from unvanish.treat.prescribing import outlook_of

    look = trace(model, batch, loss, batches=1, probe_steps=1, seed=seed, **conditions)
    diagnosis = diagnose(look)
    outlook = outlook_of(look, diagnosis)
    milliseconds, kept = cost(model, batch, seed)
    summary: dict[str, Any] = {
        "findings": sorted(code for code, kind in outlook.findings.items() if kind != "note"),
        "unjudged": sorted(outlook.unjudged),
        "flow": outlook.flow_decades,
        "alike": outlook.sample_cosine,
        "milliseconds": milliseconds,
        "kept_bytes": kept,
        "parameters": outlook.parameters,
    }
    try:
        prediction = explain(look).prediction
    except UnvanishError as error:
        return (look, diagnosis), summary | {"untold": error.what}
    if not prediction.layers:
        return (look, diagnosis), summary | {"untold": prediction.reason}
    first = prediction.layers[0]
    return (look, diagnosis), summary | {
        "first_layer": [first.measured, first.predicted, first.band],
        "profile_gap": max(abs(one.measured - one.predicted) for one in prediction.layers),
        "wide_alike": wide_alike(collapsed(look), prediction),
    }


def wide_alike(look: Any, prediction: Any) -> list[float]:
    """Return the cosine of two samples at the last wide layer, measured and predicted.

    A layer of a few outputs has only a few directions, of which theory knows nothing.
    """
    from unvanish.core.glossary import Quantity
    from unvanish.explain.prediction import likeness

    measured = look[Quantity.SAMPLE_COSINE]
    pairs = zip(prediction.layers, likeness(look, prediction), strict=False)
    wide = [
        [measured.get(layer.site), cosine] for layer, cosine in pairs if units(look, layer) >= WIDE
    ]
    return wide[-1] if wide else [math.nan, math.nan]


def units(look: Any, layer: Any) -> int:
    """Return the width of a predicted layer: the rows of its weight."""
    names = look.sites[layer.site].weights
    shapes = {parameter.name: parameter.shape for parameter in look.parameters}
    return max((shapes[name][0] for name in names if len(shapes.get(name, ())) > 1), default=0)


def cost(model: Any, batch: Any, seed: int) -> tuple[float, int]:
    """Return milliseconds of a forward and backward pass, the best of five, and its bytes.

    Of this thread: the limit of a pair makes the clock of the process coarse.
    """
    import torch

    from unvanish.observe.batch import as_batch, call_model, main_output
    from unvanish.observe.guard import seed_everything, untouched

    best, kept = math.inf, {}

    def keep(tensor: Any) -> Any:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    inputs = as_batch(batch, model).inputs
    with untouched(model, seed=seed):
        for counting in (True, *[False] * 5):
            seed_everything(seed)
            start = time.thread_time()
            hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
            with hooks if counting else nullcontext():
                output = main_output(call_model(model, inputs))
            if not counting:
                if output is not None and output.requires_grad:
                    output.sum().backward()
                best = min(best, time.thread_time() - start)
    return 1000.0 * best, sum(kept.values())


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `OutOfTimeError` inside of the block after some CPU seconds."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTimeError

    previous = signal.signal(signal.SIGPROF, stop)
    # Again after a while, should something on the way have caught the first.
    signal.setitimer(signal.ITIMER_PROF, seconds, 10.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, previous)


def treated_by_all(job: tuple[str, int, float]) -> list[dict[str, Any]]:
    """Try every remedy on one patient."""
    import torch

    from unvanish.treat.registry import remedies

    torch.set_num_threads(1)
    name, seed, limit = job
    start = time.process_time()
    rows: list[dict[str, Any]] = []
    waiting = list(remedies())
    while waiting:
        sat = sitting(name, seed, limit, waiting)
        rows = [*sat, *(row for row in rows if "remedy" in row)]
    rows.append({"patient": name, "cpu_seconds": round(time.process_time() - start, 1)})
    return rows


def sitting(name: str, seed: int, limit: float, waiting: list[Any]) -> list[dict[str, Any]]:
    """Try remedies until one takes too long: what it left half done is not used again."""
    from unvanish.core.errors import UnvanishError
    from unvanish.observe.optimizer import build_optimizer
    from unvanish.recipe import load
    from unvanish.treat.treatment import case_of

    recipe = load(f"zoo:{name}", seed=seed)
    rows: list[dict[str, Any]] = []
    with recipe.running():
        (look, diagnosis), before = looked_at(
            recipe.model,
            recipe.batch,
            recipe.loss,
            seed,
            optimizer=recipe.optimizer,
            autocast=recipe.autocast,
            clip_grad_norm=recipe.clip_grad_norm,
            built=recipe.built,
        )
        rows.append({"patient": name, "before": before})
        own = None
        if recipe.optimizer is not None:
            own = build_optimizer(recipe.optimizer, recipe.model)
        try:
            case = case_of(
                recipe.model,
                recipe.batch,
                recipe.loss,
                optimizer=own,
                recording=look,
                diagnosis=diagnosis,
            )
        except UnvanishError as error:
            waiting.clear()
            return [*rows, {"patient": name, "untreatable": error.what}]
        # Once more, now that everything has been loaded and run.
        again = cost(recipe.model, recipe.batch, seed)[0]
        before["milliseconds"] = min(before["milliseconds"], again)
        pairing = Pairing(name=name, recipe=recipe, case=case, before=before, seed=seed)
        while waiting:
            remedy = waiting.pop(0)
            start = time.process_time()
            try:
                with limited(limit):
                    row = pairing.tried(remedy)
            except OutOfTimeError:
                offered = sorted(remedy.treats & set(before["findings"]))
                row = {"patient": name, "remedy": remedy.name, "offered": offered}
                rows.append(row | {"failed": f"took longer than {limit:g} s", "slow": True})
                return rows
            rows.append(row | {"cpu_seconds": time.process_time() - start})
    return rows


def rounded(value: Any) -> Any:
    """Return a value with the digits that mean something; what is infinite as text."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    if not isinstance(value, float) or math.isnan(value):
        return value
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else str(value)


def document(command: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the file: one row a line, and what the remedies and codes are called.

    Why a remedy does not fit is kept where it is offered.
    """
    from unvanish.core.prescriptions import Change
    from unvanish.diagnose.run import all_rules
    from unvanish.treat.registry import remedies

    order = sorted(remedies(), key=lambda remedy: list(Change).index(remedy.change))
    cards = {one.name: {"change": one.change, "treats": sorted(one.treats)} for one in order}
    head = {
        "command": command,
        "remedies": cards,
        "codes": {rule.code: rule.name for rule in all_rules().members},
    }
    told = [row for row in rows if row.get("offered", True) or "refused" not in row]
    lines = ",\n".join(json.dumps(strict(rounded(row)), ensure_ascii=False) for row in told)
    return f'{json.dumps(head)[:-1]}, "rows": [\n{lines}\n]}}\n'


def kept(command: str) -> list[dict[str, Any]]:
    """Return the rows of an earlier run of the same command that did not come to its end."""
    if not FILE.exists() or (RESULTS / "remedies.md").exists():
        return []
    found = json.loads(FILE.read_text())
    rows: list[dict[str, Any]] = found["rows"] if found["command"] == command else []
    return rows


def main() -> None:
    """Run the benchmark."""
    from unvanish.zoo.patient import Half, half_of, patient_of, patients

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=20.0, help="CPU seconds for a pair")
    parser.add_argument("--only", nargs="*", default=())
    parser.add_argument("--page", action="store_true", help="lay the page out anew, run nothing")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    names = [
        name
        for name in patients()
        if patient_of(name).is_sick and half_of(name) is Half.DEVELOPMENT
        if not options.only or name in options.only
    ]
    command = "python -m benchmarks.remedies"
    command += f" --seed {options.seed}" if options.seed else ""
    command += f" --limit {options.limit:g}" if options.limit != 20.0 else ""
    if options.page:
        (RESULTS / "remedies.md").write_text(written(json.loads(FILE.read_text())))
        return
    rows = [] if options.only else kept(command)
    done = {row["patient"] for row in rows}
    RESULTS.mkdir(exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(options.jobs, maxtasksperchild=1) as pool:
        waiting = [(name, options.seed, options.limit) for name in names if name not in done]
        for new in pool.imap_unordered(treated_by_all, waiting):
            rows += new
            print(f"{new[-1]['patient']}: {new[-1]['cpu_seconds']} s", file=sys.stderr, flush=True)
            if not options.only:
                FILE.write_text(document(command, rows))
    rows.sort(key=lambda row: names.index(row["patient"]))
    if options.only:
        print(document(command, rows))
        return
    FILE.write_text(document(command, rows))
    (RESULTS / "remedies.md").write_text(written(json.loads(FILE.read_text())))


if __name__ == "__main__":
    main()
