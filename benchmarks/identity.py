"""Whether the ledger adds up: on every network of the zoo and on tiny transformers.

    python -m benchmarks.identity [--transformers 60] [--only NAME ...]

writes results/identity.json and results/identity.md. For every step with weights the sum of the
ledger's leaves is compared with the gradient's norm as the hooks measured it, and the worst
difference is kept, in decades. The sum must be right, because the last factor of an operation is
what its others leave; how much that is says more. *Alignment* is its share of all absolute decades
(how the gradient's direction meets weights and slopes, zero for a random one), *unnamed* the share
under `opaque` (PyTorch runs several steps as one) or `other` (no factorisation is known). The types
of `transformers` are taken evenly from the alphabet.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch

from benchmarks.accuracy import strict, table
from unvanish import checkup
from unvanish.core.explanations import Factor
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.explain import explain_site
from unvanish.observe import trace
from unvanish.recipe import load
from unvanish.zoo.patient import patients

RESULTS = Path("results")
MOST_STEPS = 24
"""Steps with weights of one network whose ledger is drawn, evenly spread over its depth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One network.

    Attributes:
        name: Its name.
        ledgers: For how many steps the ledger was drawn.
        residue: The worst difference between the terms' sum and the measurement, in decades.
        alignment: Share of the absolute decades that the other factors leave.
        unnamed: Share of the absolute decades without a named factor.
        reason: Why no ledger could be drawn, or empty.
    """

    name: str
    ledgers: int = 0
    residue: float = 0.0
    alignment: float = math.nan
    unnamed: float = math.nan
    reason: str = ""


def row_of(name: str, recording: Recording) -> Row:
    """Draw the ledgers of a network and compare them with what was measured."""
    norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
    sites = [
        site.index
        for site in recording.signal_sites()
        if site.weights and math.isfinite(norms.get(site))
    ]
    if not sites:
        return Row(name=name, reason="no finite gradient reaches a step with weights")
    stride = -(-len(sites) // MOST_STEPS)
    chosen = sites[::stride]
    worst = 0.0
    decades = dict.fromkeys(Factor, 0.0)
    for index in chosen:
        explanation = explain_site(recording, index)
        worst = max(worst, abs(explanation.residue))
        for leaf in explanation.ledger.leaves():
            if leaf.factor is not None:
                decades[leaf.factor] += abs(leaf.log10_gain)
    whole = math.fsum(decades.values()) or 1.0
    return Row(
        name=name,
        ledgers=len(chosen),
        residue=worst,
        alignment=decades[Factor.ALIGNMENT] / whole,
        unnamed=(decades[Factor.OPAQUE] + decades[Factor.OTHER]) / whole,
    )


def zoo_rows(only: Sequence[str]) -> Iterator[Row]:
    """Yield a row for every patient."""
    for name in patients():
        if only and name not in only:
            continue
        # one rule, so that no time goes into judging
        report = checkup(load(f"zoo:{name}", seed=0), seed=0, probe_steps=0, select=["UV901"])
        yield row_of(f"zoo:{name}", report.recording)


def transformer_rows(count: int, only: Sequence[str]) -> Iterator[Row]:
    """Yield a row for evenly spread architectures of `transformers`."""
    exceptions = importlib.import_module("tests.networks.transformers_exceptions")
    models = importlib.import_module("tests.networks.transformers_zoo")
    skipped = exceptions.SKIPPED
    known = {name: a for name, a in models.architectures().items() if name not in skipped}
    by_type = {a.model_type: name for name, a in reversed(known.items())}
    names = sorted(by_type.values())
    names = [name for name in names if name in only] if only else names[:: len(names) // count]
    for name in names[:count]:
        network = models.build(known[name])
        recording = trace(network.model, network.batch, loss=network.loss, probe_steps=0)
        yield row_of(name, recording)


def page(rows: Sequence[Row], command: str) -> str:
    """Return the whole page."""
    drawn = [row for row in rows if row.ledgers]
    lines = ["# Whether the ledger adds up", "", f"`{command}`", ""]
    lines += table(
        ("networks", "ledgers", "worst difference, decades", "alignment, mean", "unnamed, mean"),
        [
            (
                len(drawn),
                sum(row.ledgers for row in drawn),
                f"{max(row.residue for row in drawn):.1e}",
                f"{100 * fmean(row.alignment for row in drawn):.1f} %",
                f"{100 * fmean(row.unnamed for row in drawn):.1f} %",
            )
        ],
    )
    lines += ["", "## Every network", ""]
    lines += table(
        ("network", "ledgers", "worst difference", "alignment", "unnamed"),
        [
            (
                row.name,
                row.ledgers,
                f"{row.residue:.1e}",
                f"{100 * row.alignment:.1f} %",
                f"{100 * row.unnamed:.1f} %",
            )
            if row.ledgers
            else (row.name, 0, row.reason, "", "")
            for row in rows
        ],
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Draw all ledgers and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--transformers", type=int, default=60)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    start = time.perf_counter()
    rows = [
        *zoo_rows(arguments.only),
        *transformer_rows(arguments.transformers, arguments.only),
    ]
    text = page(rows, f"python -m benchmarks.identity --transformers {arguments.transformers}")
    print(text)
    print(f"{time.perf_counter() - start:.0f} s")
    if arguments.only:
        return
    RESULTS.mkdir(exist_ok=True)
    result: dict[str, Any] = {"rows": [asdict(row) for row in rows]}
    document = json.dumps(strict(result), indent=1, allow_nan=False)
    (RESULTS / "identity.json").write_text(document + "\n", encoding="utf-8")
    (RESULTS / "identity.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
