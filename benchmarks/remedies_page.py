"""Lay out what `benchmarks.remedies` measured: the whole page, and a digest for the docs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

from benchmarks.accuracy import table

Row = Mapping[str, Any]
BEST = 5
"""How many remedies a line of the digest names."""
FEW = 2
"""How many networks it takes to say that a remedy never helps."""
UNALIKE = "UV103"
"""Outputs that are alike: the collapse axis."""
GRADIENTS = {"UV101": "The gradient vanishes", "UV102": "The gradient explodes"}
OF_THE_NETWORK = frozenset("initialisation data activation normalisation path".split())
"""Kinds of change after which the network itself is another one at its start."""


@dataclass(frozen=True)
class Results:
    """What was measured.

    Attributes:
        document: The file results/remedies.json.
    """

    document: Mapping[str, Any]

    @cached_property
    def before(self) -> dict[str, Row]:
        """Patient to the look at it as it is."""
        return {row["patient"]: row["before"] for row in self.document["rows"] if "before" in row}

    @cached_property
    def pairs(self) -> list[Row]:
        """Every pair of remedy and patient that the remedy says it fits."""
        rows = self.document["rows"]
        return [row for row in rows if "remedy" in row and "refused" not in row]

    @property
    def failed(self) -> list[Row]:
        """The pairs that came to nothing."""
        return [row for row in self.pairs if "failed" in row]

    @property
    def names(self) -> list[str]:
        """The remedies, the least change first."""
        return list(self.document["remedies"])

    @cached_property
    def codes(self) -> list[str]:
        """Every sickness that a patient was found to have."""
        return sorted({code for before in self.before.values() for code in before["findings"]})

    def of(self, remedy: str, code: str = "") -> list[Row]:
        """Return the pairs of a remedy; with a code, those with patients that have it."""
        return [
            row
            for row in self.pairs
            if row["remedy"] == remedy
            if not code or code in self.before[row["patient"]]["findings"]
        ]

    def treats(self, remedy: str) -> list[str]:
        """Return the codes that a remedy is offered for."""
        offered: list[str] = self.document["remedies"][remedy]["treats"]
        return offered

    def is_of_the_network(self, remedy: str) -> bool:
        """Tell whether a remedy makes the network another one at its start."""
        return self.document["remedies"][remedy]["change"] in OF_THE_NETWORK

    def gone(self, remedy: str, code: str) -> tuple[int, int]:
        """Return from how many patients a finding is gone, and how many had it."""
        rows = self.of(remedy, code)
        return sum(code in row.get("gone", ()) for row in rows), len(rows)

    def medians(self, rows: Sequence[Row], pick: Callable[[Row], Any], form: str) -> str:
        """Return the medians of a quantity before and after; nothing without a pair."""
        done = [row for row in rows if "after" in row]
        looks = ([self.before[r["patient"]] for r in done], [r["after"] for r in done])
        return " → ".join(number(middle(map(pick, side)), form) for side in looks) if done else ""

    def recovery(self, rows: Sequence[Row], key: str, which: int, form: str) -> str:
        """Return the medians of what was measured (0) or predicted (1), before and after."""
        return self.medians(rows, lambda look: look[key][which] if key in look else None, form)


def middle(values: Iterable[Any]) -> float:
    """Return the median of what is known; a file holds None for nan."""
    known = [v for v in numbers(values) if not math.isnan(v)]
    return median(known) if known else math.nan


def numbers(values: Iterable[Any]) -> list[float]:
    """Return what stands in the file as numbers: null is nan, and text is infinite."""
    return [math.nan if value is None else float(value) for value in values]


def number(value: float, form: str = "+.1f") -> str:
    """Return a number for a table; nothing where it is not known."""
    if math.isnan(value):
        return "?"
    return format(value, form) if math.isfinite(value) else "none"


def told(row: Row) -> bool:
    """Tell whether theory follows the network after the remedy."""
    return "first_layer" in row.get("after", ())


def counted(done: int, of: int) -> str:
    """Return a share as a table writes it."""
    return f"{done} of {of}" if of else ""


def by_sickness(results: Results) -> list[list[str]]:
    """Return a line for every remedy: from how many patients each finding is gone."""
    lines = []
    for name in results.names:
        treats = results.treats(name)
        offered = [r for r in results.of(name) if r["offered"]]
        cured = sum("after" in r and not r["after"]["findings"] for r in offered)
        worse = sum(bool(r.get("come")) for r in offered)
        cells = []
        for code in results.codes:
            gone, had = results.gone(name, code)
            plain = f"{gone}/{had}" if had else ""
            cells.append(plain if code in treats else f"({plain})" if gone else "")
        if any(cells):
            kind = results.document["remedies"][name]["change"]
            lines.append([name, kind, counted(cured, len(offered)), str(worse or ""), *cells])
    return lines


def of_gradient(results: Results, code: str) -> list[list[str]]:
    """Return a line for every remedy of the network that is offered for a gradient's size."""
    lines = []
    for name in filter(results.is_of_the_network, results.names):
        rows = [r for r in results.of(name, code) if code in r["offered"] and "after" in r]
        if not rows:
            continue
        followed = [r for r in rows if told(r)]
        first = [numbers(r["after"]["first_layer"]) for r in followed]
        within = sum(abs(measured - predicted) <= band for measured, predicted, band in first)
        lines.append(
            [
                name,
                str(len(rows)),
                results.medians(rows, lambda look: look["flow"], "+.1f"),
                counted(len(followed), len(rows)),
                results.recovery(followed, "first_layer", 0, "+.1f"),
                results.recovery(followed, "first_layer", 1, "+.1f"),
                counted(within, len(first)),
            ]
        )
    return lines


def of_likeness(results: Results) -> list[list[str]]:
    """Return a line for every remedy that is offered where the outputs are alike."""
    lines = []
    for name in filter(results.is_of_the_network, results.names):
        rows = [r for r in results.of(name, UNALIKE) if UNALIKE in r["offered"] and "after" in r]
        wide = [r for r in rows if told(r) and None not in r["after"]["wide_alike"]]
        if rows:
            lines.append(
                [
                    name,
                    str(len(rows)),
                    results.medians(rows, lambda look: look["alike"], ".3f"),
                    counted(len(wide), len(rows)),
                    results.recovery(wide, "wide_alike", 0, ".3f"),
                    results.recovery(wide, "wide_alike", 1, ".3f"),
                ]
            )
    return lines


def of_cost(results: Results) -> list[list[str]]:
    """Return a line for every remedy: what a pass through the treated network costs."""
    lines = []
    for name in results.names:
        rows = [row for row in results.of(name) if "after" in row]
        ratios = [
            middle(
                row["after"][key] / results.before[row["patient"]][key]
                for row in rows
                if results.before[row["patient"]][key]
            )
            for key in ("milliseconds", "kept_bytes", "parameters")
        ]
        if rows:
            own = middle(row["cpu_seconds"] for row in rows)
            shown = [number(ratio, ".2f") for ratio in ratios]
            lines.append([name, str(len(rows)), *shown, number(own, ".2f")])
    return lines


def of_failures(results: Results) -> list[list[str]]:
    """Return a line for every way in which a remedy came to nothing."""
    patients: dict[tuple[str, str], list[str]] = {}
    for row in results.failed:
        said = row["failed"].replace("|", "\\|").replace("\n", " ")
        patients.setdefault((row["remedy"], said), []).append(row["patient"])
    return [[name, said, ", ".join(those)] for (name, said), those in patients.items()]


def digest(document: Mapping[str, Any]) -> list[list[str]]:
    """Return a line for every sickness: which remedies take it away most often, and which never.

    Args:
        document: The file results/remedies.json.
    """
    results = Results(document)
    lines = []
    for code in results.codes:
        had = sum(code in before["findings"] for before in results.before.values())
        tallies = {
            name: results.gone(name, code)
            for name in results.names
            if code in results.treats(name) and results.of(name, code)
        }
        ranked = sorted(tallies, key=lambda n: (-tallies[n][0], tallies[n][1]))
        best = [name for name in ranked if tallies[name][0]]
        never = [name for name in ranked if not tallies[name][0] and tallies[name][1] >= FEW]
        named = ", ".join(f"{n} {tallies[n][0]}/{tallies[n][1]}" for n in best[:BEST])
        more = f" and {len(best) - BEST} more" if len(best) > BEST else ""
        lines.append(
            [
                f"{code} {document['codes'][code]}",
                str(had),
                named + more or ("none" if tallies else "none fits"),
                ", ".join(f"{n} 0/{tallies[n][1]}" for n in never),
            ]
        )
    return lines


def agreement(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return how well theory foretells the networks that remedies leave.

    Args:
        document: The file results/remedies.json.
    """
    results = Results(document)
    done = [row for row in results.pairs if "after" in row]
    others = [row for row in done if results.is_of_the_network(row["remedy"])]
    layers = [numbers(r["after"]["first_layer"]) for r in others if told(r)]
    wide = [r["after"]["wide_alike"] for r in others if told(r)]
    wide = [pair for pair in wide if None not in pair]
    return {
        "treated": len(others),
        "told": len(layers),
        "within": sum(abs(m - p) <= band for m, p, band in layers),
        "decades": middle(abs(m - p) for m, p, _ in layers),
        "wide": len(wide),
        "cosine": middle(abs(m - p) for m, p in wide),
    }


def counts(document: Mapping[str, Any]) -> dict[str, int]:
    """Return how many patients and pairs there are.

    Args:
        document: The file results/remedies.json.
    """
    results = Results(document)
    return {
        "patients": len(results.before),
        "sound": sum(not before["findings"] for before in results.before.values()),
        "pairs": len(results.pairs),
        "failed": len(results.failed),
    }


def written(document: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        document: The file results/remedies.json.
    """
    results, size, near = Results(document), counts(document), agreement(document)
    lines = [
        "# Remedies on the zoo, before any training",
        "",
        f"`{document['command']}`",
        "",
        f"{size['patients']} sick patients of the development half, one seed. Each remedy alone, "
        "on a copy, whether or not it is offered for what the patient has: one batch and one step "
        "of the optimiser before and after; seed, batch and weights before the remedy were held "
        f"fixed. {size['pairs']} pairs of remedy and patient, of which {size['failed']} came to "
        "nothing (last table). Patients in which one batch shows nothing, and which count in the "
        f"costs only: {size['sound']}.",
        "",
        "**Nothing was trained.** A network that looks sound at its start has not been shown to "
        "learn.",
        "",
        "## What goes away",
        "",
        "Patients from which the finding is gone, of those that have it and that the remedy fits; "
        "in brackets where the remedy is not offered for it. *cured*: nothing is left that is "
        "worse than a note, of the patients that it is offered for; *worse*: how many of these "
        "have a finding that they did not have. What is gone from sight may be there still: "
        "truncated-sequences cuts the long ways on which it could be seen.",
        "",
        *table(["remedy", "kind", "cured", "worse", *results.codes], by_sickness(results)),
        "",
        ", ".join(f"{code} {document['codes'][code]}" for code in results.codes) + ".",
        "",
        "## The gain profile",
        "",
        "*change*: decades by which the gradient changes between the outputs and the layer where "
        "it changes most, before → after; *none*: a true zero; *?*: not known. Theory is asked "
        "about the network before and after the remedy. It follows the gradient from the last "
        "layer to the first; *measured* is the same stretch of the same networks. *in the band*: "
        "treated networks within two standard deviations of a network of their width. All "
        "medians. Theory takes weights and biases for independent numbers of mean zero, and is "
        "off where a remedy sets them by each other or by the batch: centre-and-unit-variance, "
        "folded-kernel-shape, weight-standardisation, revive-dead-units. Gates (highway), scales "
        "of zero (rezero) and norms over few channels it does not follow.",
        "",
        f"Of {near['treated']} networks that a remedy left with other weights, functions or paths, "
        f"theory follows {near['told']}: {near['within']} lie in its band, and the median "
        f"distance is {near['decades']:.2f} decades.",
    ]
    for code, title in GRADIENTS.items():
        if rows := of_gradient(results, code):
            head = ["remedy", "patients", "change", "theory follows", "measured", "predicted"]
            lines += ["", f"### {title} ({code})", "", *table([*head, "in the band"], rows)]
    lines += [
        "",
        "## The collapse axis",
        "",
        f"Patients that have {UNALIKE}. *outputs*: cosine between the outputs of two samples, "
        "before → after. *measured* and *predicted*: the same at the last layer of "
        "16 units or more, in treated networks that theory follows. Where weights are set by each "
        "other, mirrored (looks-linear) or without the mean of each unit (weight-standardisation), "
        "samples stay less alike than it says. Medians. Over all "
        f"{near['wide']} networks that have such a layer the median distance is "
        f"{near['cosine']:.3f}.",
        "",
        *table(
            ["remedy", "patients", "outputs", "theory follows", "measured", "predicted"],
            of_likeness(results),
        ),
        "",
        "## Cost",
        "",
        "Of a forward and backward pass, after over before, medians over all patients that the "
        "remedy fits; *memory* is what the forward pass keeps. Where the remedy is met at each "
        "call and not written into the source, the time includes that. *applying*: CPU seconds to "
        "prescribe, apply and look, once.",
        "",
        *table(
            ["remedy", "patients", "time", "memory", "parameters", "applying"], of_cost(results)
        ),
    ]
    if failures := of_failures(results):
        head = ["remedy", "what it said", "patients"]
        lines += ["", "## What came to nothing", "", *table(head, failures)]
    return "\n".join(lines) + "\n"
