"""The page that says how the tools did, and under which conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from benchmarks.accuracy import percent, table
from benchmarks.peers.runs import SYSTEMS, TOOLS, Run
from benchmarks.peers.training import STEPS

INSTALL: Final = "pip install -c constraints.txt -e '.[peers]'"
CONDITIONS: Final = f"""\
What is held fixed: every tool meets the same networks, sick ones as they are and healthy ones
as they are, with the weights, batches, loss and optimiser of the same recipe under the same
seeds. Each watches a fresh copy of the same run of {STEPS} optimiser steps, which ends early
where the loss stops being finite, with the thresholds it comes with. `unvanish check` alone
takes no part in that run: it looks at the network as it is built and takes a few probe steps
on a copy.

How it is counted: a network counts as alarmed if a tool reports at least one problem at least
once. On a sick network any alarm counts as found, even one with a wrong name or in a wrong
place, which is generous; benchmarks/accuracy.py asks more of unvanish than that. On a healthy
network any alarm is a false one. A crash of the tool, or of the training because of it, is
counted apart and is no alarm. Precision is sick alarmed over all alarmed, and depends on how
many of the networks are sick. With more than one seed, a network under a seed counts as one.

What to bear in mind: the zoo was made for unvanish, by its authors, around the sicknesses it
knows. Its limits may be set with the development half in view, never with the reserved one.
The other tools were not tuned on either. The rules of published systems are written anew from
what is published and are not those systems: guards which need a whole run are left out, as
said below, and a system is counted as alarmed if any of its rules fires, whereas its user may
choose among them. Some look for more than what the zoo holds, and some were made for runs far
longer than {STEPS} steps.
"""
READING: Final = """\
How each rule is read, with its defaults, stands in its docstring below
[benchmarks/peers/published](../benchmarks/peers/published)."""


def written(result: Mapping[str, Any], runs: Sequence[Run]) -> str:
    """Return the whole page."""
    lines = ["# Other tools on the same networks", "", f"`{result['command']}`", "", CONDITIONS]
    for half, tools in result["summary"].items():
        lines += [f"## {half.capitalize()}" if half != "both" else "## Both halves", ""]
        lines += table(
            ("tool", "sick alarmed", "healthy alarmed", "precision", "crashes"),
            [*(_counted(name, c, c["crashes"]) for name, c in tools.items()), *_missing()],
        )
        lines += [""]
    lines += ["## By rule", "", "Both halves. A network is alarmed if the rule fires once.", ""]
    lines += table(
        ("tool", "rule", "sick alarmed", "healthy alarmed", "precision"),
        [
            (tool, *_counted(rule, c))
            for tool, rules in result["rules"].items()
            for rule, c in rules.items()
        ],
    )
    lines += ["", "## What counts as an alarm", ""]
    lines += [f"- **{tool.name}**{_version(tool.name, result)}: {tool.counts}." for tool in TOOLS]
    lines += [
        f"- **{system.name}**: any of the rules above; {system.source}. "
        f"Left out: {system.left_out}."
        for system in SYSTEMS
    ]
    lines += ["", READING, "", "## Crashes", ""]
    lines += list(_crashes(runs)) or ["None."]
    lines += ["", "## By network", "", "Alarmed in n of n runs; a crash is an x.", ""]
    lines += table(("network", "half", "is", *result["summary"]["both"]), list(_networks(runs)))
    return "\n".join(lines) + "\n"


def _counted(name: str, c: Mapping[str, Any], *more: object) -> tuple[object, ...]:
    def of(part: int, whole: int) -> str:
        return f"{part} of {whole} ({percent(part / whole)})" if whole else ""

    precision = "" if c["precision"] is None else percent(c["precision"])
    return (
        name,
        of(c["sick_alarmed"], c["sick"]),
        of(c["healthy_alarmed"], c["healthy"]),
        precision,
        *more,
    )


def _missing() -> Iterator[tuple[str, ...]]:
    for tool in TOOLS:
        if not tool.is_installed:
            yield tool.name, f"not installed: `{INSTALL}`", "", "", ""


def _version(name: str, result: Mapping[str, Any]) -> str:
    version = result["versions"].get(name)
    return f" {version}" if version else ""


def _crashes(runs: Sequence[Run]) -> Iterator[str]:
    for r in runs:
        if r.crash:
            short = r.crash if len(r.crash) <= 160 else f"{r.crash[:160]} …"
            yield f"- {r.tool} on {r.patient}, seed {r.seed}: {' '.join(short.split())}"


def _networks(runs: Sequence[Run]) -> Iterator[Sequence[object]]:
    tools = list(dict.fromkeys(r.tool for r in runs))
    for name in sorted({r.patient for r in runs}, key=lambda n: (not _of(runs, n)[0].is_sick, n)):
        mine = _of(runs, name)
        cells = []
        for tool in tools:
            its = [r for r in mine if r.tool == tool]
            count = sum(bool(r.alarms) for r in its)
            cells.append(("x" if any(r.crash for r in its) else "") + f"{count}/{len(its)}")
        yield name, mine[0].half, "sick" if mine[0].is_sick else "healthy", *cells


def _of(runs: Sequence[Run], name: str) -> list[Run]:
    return [r for r in runs if r.patient == name]
