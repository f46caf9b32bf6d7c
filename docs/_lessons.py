"""Runs every lesson and writes its page and its plot, the list of lessons and the glossary.

python docs/_lessons.py [NAME ...]   run these lessons, or all, and write docs/lessons
python docs/_lessons.py --check      fail where a page would change, measured numbers apart

What a run measured stands between two marks in a page. Its last digits differ from machine to
machine, so `--check` compares what stands around it, and runs nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

from unvanish.core.glossary import GLOSSARY, RUN_GLOSSARY
from unvanish.core.lessons import Evidence, LessonRun
from unvanish.learn import headings, run_lesson
from unvanish.learn.lessons import LESSONS
from unvanish.learn.settings import options
from unvanish.show.figures import draw_figure
from unvanish.show.glossary import glossary_markdown
from unvanish.show.lesson_files import (
    MEASURED_FROM,
    MEASURED_TO,
    lesson_markdown,
    list_markdown,
)

FOLDER = Path(__file__).parent / "lessons"
_MEASURED = re.compile(f"{re.escape(MEASURED_FROM)}.*{re.escape(MEASURED_TO)}", re.DOTALL)


def still(page: str) -> str:
    """Return a page without what was measured."""
    return _MEASURED.sub("", page)


def differences() -> list[str]:
    """Return the names of all files that are missing, in the way, or not as they should be."""
    wanted = {"README.md": list_markdown(headings()), "glossary.md": _glossary()}
    wanted |= {f"{run.name}.md": still(lesson_markdown(run)) for run in _unrun()}
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    names = {*wanted, *there}
    plots = {f"{name.removesuffix('.md')}.svg" for name, page in there.items() if ".svg)" in page}
    found = {path.name for path in FOLDER.glob("*.svg")}
    different = {name for name in names if still(there.get(name, "")) != wanted.get(name)}
    return sorted(different | (plots ^ found))


def write(names: Sequence[str]) -> None:
    """Run lessons, and write their pages and plots beside the list and the glossary.

    Args:
        names: Which lessons; all where it is empty.
    """
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "README.md").write_text(list_markdown(headings()), encoding="utf-8")
    (FOLDER / "glossary.md").write_text(_glossary(), encoding="utf-8")
    for lesson in LESSONS:
        if names and lesson.name not in names:
            continue
        run = run_lesson(lesson.name, {})
        print(f"{lesson.name}: the claim {run.status.value}, {run.seconds:.1f} s")
        plots = run.evidence.plots
        plot = f"{lesson.name}.svg" if plots else ""
        if plots:
            draw_figure(plots, FOLDER / plot, title=run.title)
        page = lesson_markdown(run, plot=plot)
        (FOLDER / f"{lesson.name}.md").write_text(page, encoding="utf-8")
    known = {lesson.name for lesson in LESSONS} | {"README", "glossary"}
    for path in FOLDER.iterdir():
        if path.stem not in known:
            path.unlink()


def _glossary() -> str:
    return glossary_markdown({"One look": GLOSSARY, "A watched run": RUN_GLOSSARY})


def _unrun() -> Iterator[LessonRun]:
    """Return every lesson as if its experiment had given nothing."""
    for number, lesson in enumerate(LESSONS, 1):
        given = {
            one.name: getattr(lesson, one.name)
            for one in fields(LessonRun)
            if hasattr(lesson, one.name)
        }
        given |= {
            "number": number,
            "options": options(lesson.settings()),
            "evidence": Evidence(missing="not run"),
            "sources": tuple(str(source) for source in lesson.sources),
            "seconds": 0.0,
        }
        yield LessonRun(**given)


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them; returns the exit code."""
    if arguments != ["--check"]:
        write(arguments)
        return 0
    different = differences()
    for name in different:
        print(f"docs/lessons/{name} is not what the lesson says; run: make docs")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
