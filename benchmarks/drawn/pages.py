"""The tables of what became of drawn networks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

from benchmarks.accuracy import percent, table
from benchmarks.cures import edit, metric, named
from benchmarks.cures_outside import is_changed, share

POLICIES: Final = ("nothing", "cure", "known cure")


def page(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the tables."""
    sick = [row for row in rows if row["sick"]]
    healthy = [row for row in rows if row["sick"] is False]
    lines = ["# Cures of networks that were drawn", "", "`python -m benchmarks.drawn`", ""]
    lines += ["What each word means stands there.", "", "## By fault", ""]
    lines += table(
        ["fault", "sick", *POLICIES, "seconds"],
        [
            _line(fault, [r for r in sick if fault in ("all", r["fault"])])
            for fault in _faults(sick)
        ],
    )
    lines += ["", "## By family", ""]
    families = sorted({row["family"] for row in sick})
    lines += table(
        ["family", "sick", *POLICIES, "seconds"],
        [_line(family, [r for r in sick if r["family"] == family]) for family in families],
    )
    changed = [r["name"] for r in healthy if is_changed(r)]
    harmed = [r["name"] for r in rows if "cure" in r and r["cure"]["seeds"] < r["nothing"]["seeds"]]
    crashed = [r["name"] for r in rows if "crash" in r]
    out = Counter(row["out"] for row in rows if "out" in row)
    lines += ["", f"- healthy: {len(healthy)}, of which changed: {len(changed)} {named(changed)}"]
    lines += [f"- harmed: {len(harmed)} {named(harmed)}"]
    lines += [f"- crashed or refused: {len(crashed)} {named(crashed)}"]
    lines += [f"- left out, {why}: {count}" for why, count in sorted(out.items())]
    lines += ["", "## By network", ""]
    lines += table(
        [
            "seed",
            "task",
            "family",
            "fault",
            "goal",
            "verdict",
            "found",
            "edit",
            *POLICIES,
            "seconds",
        ],
        [
            [
                row["name"],
                row["task"],
                row["family"],
                row["fault"],
                f"{row['goal']:.3g}",
                row.get("verdict", "crash"),
                " ".join(row.get("found", [])),
                edit(row),
                *(metric(row.get(policy)) for policy in POLICIES),
                f"{row.get('seconds', math.nan):.0f}",
            ]
            for row in [*sick, *healthy]
        ],
    )
    return "\n".join(lines) + "\n"


def checks_page(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the tables of what a check finds."""
    judged = [row for row in rows if row["sick"] is not None and "alarms" in row]
    lines = ["# What a check finds in networks that were drawn", ""]
    lines += ["`python -m benchmarks.drawn --check`", "", "What each word means stands there."]
    lines += ["Found and alarmed: a check says more than a note.", "", "## By fault", ""]
    lines += table(
        ["fault", "sick", "found", "healthy", "alarmed"],
        [
            [
                fault or "none",
                *(_counted(judged, fault, sick=True)),
                *(_counted(judged, fault, sick=False)),
            ]
            for fault in ("all", *sorted({row["fault"] for row in judged}))
        ],
    )
    crashed = [r["name"] for r in rows if "crash" in r]
    out = Counter(row["out"] for row in rows if "out" in row)
    lines += ["", f"- crashed or refused: {len(crashed)} {named(crashed)}"]
    lines += [f"- left out, {why}: {count}" for why, count in sorted(out.items())]
    lines += ["", "## By network", ""]
    lines += table(
        ["seed", "task", "family", "fault", "state", "found", "cause", "goal", "as it is", "well"],
        [
            [
                row["name"],
                row["task"],
                row["family"],
                row["fault"],
                "sick" if row["sick"] else "healthy",
                " ".join(row["alarms"]),
                " ".join(dict.fromkeys(row["causes"])),
                f"{row['goal']:.3g}",
                metric(row["nothing"]),
                metric(row["known cure"]),
            ]
            for row in sorted(judged, key=lambda row: not row["sick"])
        ],
    )
    return "\n".join(lines) + "\n"


def _counted(rows: Sequence[Mapping[str, Any]], fault: str, *, sick: bool) -> list[str]:
    """Return how many there are, and in how many a check finds more than a note."""
    mine = [r for r in rows if fault in ("all", r["fault"]) and r["sick"] is sick]
    found = sum(bool(row["alarms"]) for row in mine)
    return [str(len(mine)), f"{found} ({percent(found / len(mine))})" if mine else ""]


def _faults(sick: Sequence[Mapping[str, Any]]) -> list[str]:
    return ["all", *sorted({row["fault"] for row in sick})]


def _line(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    seconds = f"{median(row['seconds'] for row in rows):.0f}" if rows else ""
    return [name, str(len(rows)), *(share(rows, policy) for policy in POLICIES), seconds]
