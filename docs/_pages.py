"""Writes the page of every rule and the card of every remedy from their docstrings.

python docs/_pages.py            write docs/rules and docs/remedies
python docs/_pages.py --check    fail where a page would change

What a remedy did in the trials comes from the files of `benchmarks.cures` and
`benchmarks.cures_outside` (its two blind runs).
"""

from __future__ import annotations

import json
import math
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
FOLDERS = ("rules", "remedies")


def pages() -> dict[str, str]:
    """Return the text of every page, by file name below docs."""
    from unvanish.core.pages import page_of, title_of
    from unvanish.diagnose.rules import BUILTIN_RULES
    from unvanish.diagnose.running.rules import BUILTIN_RUN_RULES
    from unvanish.treat.remedies import BUILTIN_REMEDIES

    rules = (*BUILTIN_RULES, *BUILTIN_RUN_RULES)
    files = {
        f"rules/{rule.code}.md": f"# {rule.code} {rule.name}\n\n{page_of(rule).strip()}\n"
        for rule in rules
    }
    rows = [
        f"| [{rule.code}]({rule.code}.md) | {rule.name} | {title_of(page_of(rule))} |"
        for rule in rules
    ]
    head = ["# Rules", "", "| code | name | what it finds |", "|---|---|---|"]
    files["rules/README.md"] = "\n".join([*head, *rows]) + "\n"
    trials = cures_by_remedy()
    for remedy in BUILTIN_REMEDIES:
        kept = ", ".join(sorted(keeps.value for keeps in remedy.keeps)) or "nothing"
        facts = (
            f"Touches: {remedy.change.value}. Keeps: {kept}. "
            f"Offered for: {', '.join(sorted(remedy.treats)) or 'nothing by itself'}."
        )
        card = page_of(remedy).strip()
        title, _, rest = card.partition("\n")
        files[f"remedies/{remedy.name}.md"] = (
            f"# {remedy.name}\n\n{title}\n\n{facts}\n{rest.rstrip()}\n"
            f"{in_trials(trials.get(remedy.name, []))}"
        )
    rows = [
        f"| [{remedy.name}]({remedy.name}.md) | {remedy.change.value} "
        f"| {title_of(page_of(remedy))} | {', '.join(sorted(remedy.treats))} |"
        for remedy in BUILTIN_REMEDIES
    ]
    head = [
        "# Remedies",
        "",
        "| name | touches | what it does | offered for |",
        "|---|---|---|---|",
    ]
    files["remedies/README.md"] = "\n".join([*head, *rows]) + "\n"
    return files


def cures_by_remedy() -> dict[str, list[Mapping[str, Any]]]:
    """Return what `unvanish cure` came back with, by the names of the remedies in it."""
    found = defaultdict(list)
    for file, key in (
        ("cures.json", "patients"),
        ("cures_outside_first.json", "networks"),
        ("cures_outside_second.json", "networks"),
        ("cures_outside_third.json", "networks"),
    ):
        path = RESULTS / file
        rows = json.loads(path.read_text(encoding="utf-8"))[key] if path.exists() else []
        for row in rows:
            for name in row.get("remedies", ()):
                found[name].append(row)
    return found


def in_trials(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the section on what a remedy did; empty where it was never the answer."""
    if not rows:
        return ""
    lines = [
        "",
        "## In trials",
        "Networks for which `unvanish cure` came back with it, judged by another training loop on",
        "three fresh seeds and held-out samples: the median of the metric that the network's file",
        "names, and whether its goal is reached on two of them",
        "([cures](../../results/cures.md), [outside](../../results/cures_outside_first.md),",
        "[outside, later](../../results/cures_outside_second.md),",
        "[and later still](../../results/cures_outside_third.md)).",
        "",
        "| network | with | untreated | treated | goal |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        rate = row["rate_factor"]
        edit = " + ".join(row["remedies"]) + (f", rate x{rate:g}" if rate != 1 else "")
        values = " | ".join(middle(row[arm]["metrics"]) for arm in ("nothing", "cure"))
        reached = "reached" if row["cure"]["reached"] else "missed"
        lines.append(f"| {row.get('patient') or row['name']} | {edit} | {values} | {reached} |")
    return "\n".join(lines) + "\n"


def middle(metrics: Sequence[float | None]) -> str:
    """Return the median in three digits; a run that came to nothing is left out."""
    known = [value for value in metrics if value is not None and math.isfinite(value)]
    return f"{median(known):.3g}" if known else "none"


def differences(wanted: dict[str, str], folder: Path = HERE) -> list[str]:
    """Return the names of the pages that are missing, stale or left over."""
    there = {
        f"{name}/{path.name}": path.read_text(encoding="utf-8")
        for name in FOLDERS
        for path in (folder / name).glob("*.md")
    }
    return sorted(
        name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name)
    )


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them; returns the exit code."""
    wanted = pages()
    different = differences(wanted)
    if arguments == ["--check"]:
        for name in different:
            print(f"docs/{name} differs from the docstring; run: make docs")
        return 1 if different else 0
    for name in different:
        if name in wanted:
            (HERE / name).parent.mkdir(exist_ok=True)
            (HERE / name).write_text(wanted[name], encoding="utf-8")
        else:
            (HERE / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
