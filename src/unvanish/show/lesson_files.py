"""A lesson as JSON and as Markdown."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from unvanish.core.lessons import LessonRun, Table, Working
from unvanish.show.lesson import Heading, judged, set_to, shown_rows

SCHEMA = 1
MEASURED_FROM = "<!-- measured: from here on what the run said -->"
MEASURED_TO = "<!-- measured: to here -->"
"""What stands between these differs from machine to machine in the last digits."""


def lesson_json(run: LessonRun) -> str:
    """Return a lesson that was run as JSON.

    Args:
        run: The lesson and its evidence.

    Returns:
        One document. What is not finite is written as a string: ``"nan"``, ``"inf"``, ``"-inf"``.
    """
    evidence = asdict(run.evidence)
    evidence["points"] = [{**asdict(point), "holds": point.holds} for point in run.evidence.points]
    document = {
        "schema": SCHEMA,
        "lesson": run.name,
        "number": run.number,
        "title": run.title,
        "status": run.status.value,
        "claim": run.claim,
        "belief": run.belief,
        "text": run.text.strip(),
        "settings": {one.name: one.value for one in run.options},
        "options": [asdict(one) for one in run.options],
        "evidence": evidence,
        "falsified_by": run.falsified_by,
        "counterexample": dict(run.counterexample),
        "question": run.question,
        "answer": run.answer,
        "sources": list(run.sources),
        "seconds": round(run.seconds, 3),
        "next": run.following,
    }
    return json.dumps(_plain(document), indent=2, allow_nan=False) + "\n"


def list_json(lessons: tuple[Heading, ...]) -> str:
    """Return the list of lessons as JSON."""
    document = {"schema": SCHEMA, "lessons": [asdict(one) for one in lessons]}
    return json.dumps(document, indent=2) + "\n"


def list_markdown(lessons: tuple[Heading, ...]) -> str:
    """Return the list of lessons as a page of Markdown, with a link to the page of each."""
    rows = [f"| {one.number} | [{one.name}]({one.name}.md) | {one.claim} |" for one in lessons]
    head = ["# Lessons", "", "| | lesson | what it claims |", "|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def lesson_markdown(run: LessonRun, *, plot: str = "") -> str:
    """Return a lesson that was run as a page of Markdown.

    Args:
        run: The lesson and its evidence.
        plot: Where its plot lies, as seen from the page; empty where there is none.
    """
    name = f"Lesson {run.number}: {run.title}" if run.number else run.title
    parts = [f"# {name}", f"**Claim.** {run.claim}"]
    if run.belief:
        parts.append(f"**Often said.** {run.belief}")
    parts += [run.text.strip(), "## Experiment", _settings(run)]
    parts += [MEASURED_FROM, *_measured(run, plot), MEASURED_TO]
    parts += ["## What would show it wrong", run.falsified_by]
    if run.counterexample:
        parts.append(f"It does not hold here: `{run.call(run.counterexample)}`.")
    parts += ["## Question", run.question]
    parts.append(f"<details><summary>Answer</summary>\n\n{run.answer}\n\n</details>")
    parts += ["## Source", "\n".join(f"- {source}" for source in run.sources)]
    parts.append(f"Run it yourself: `{run.call()}`.")
    return "\n\n".join(part for part in parts if part) + "\n"


def _settings(run: LessonRun) -> str:
    rows = [
        f"| `--{one.name.replace('_', '-')}` | {one.default} | {one.legal} | {one.meaning} |"
        for one in run.options
    ]
    return "\n".join(["| setting | default | legal | what it sets |", "|---|---|---|---|", *rows])


def _measured(run: LessonRun, plot: str) -> list[str]:
    evidence = run.evidence
    parts = [f"Measured with {set_to(run.options)}."] if run.options else []
    parts += [_working(evidence.working)] if evidence.working else []
    parts += [_table(table) for table in evidence.tables]
    parts += [f"![{one.title}]({plot})" for one in evidence.plots[:1] if plot]
    parts += list(evidence.notes)
    if evidence.missing:
        return [*parts, f"**The claim could not be judged:** {evidence.missing}"]
    said = {"holds": "The claim holds.", "does not hold": "The claim does not hold."}
    points = "\n".join(
        f"- {'✓' if point.holds else '✗'} {judged(point)}" for point in evidence.points
    )
    return [*parts, f"**{said[run.status.value]}**", points]


def _working(steps: tuple[Working, ...]) -> str:
    return "\n\n".join(f"$$ {step.latex} $$" for step in steps)


def _table(table: Table) -> str:
    rows = [table.columns, tuple("---" for _ in table.columns)]
    rows += [tuple(word.replace("|", "\\|") for word in row) for row in shown_rows(table)]
    lines = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    note = f"\n\n{table.note}" if table.note else ""
    return f"*{table.title}*\n\n{lines}{note}"


def _plain(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else str(value)
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case _:
            return value
