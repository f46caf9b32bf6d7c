"""`unvanish learn`: the list of lessons, a lesson that is run, the glossary."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from unvanish.cli.screen import Screen
from unvanish.core.errors import UnvanishError
from unvanish.core.glossary import GLOSSARY, RUN_GLOSSARY
from unvanish.learn import GLOSSARY as GLOSSARY_WORD
from unvanish.learn import headings, lesson_of, run_lesson
from unvanish.show.glossary import Parts, glossary_json, glossary_markdown, glossary_text
from unvanish.show.lesson import lesson_list, lesson_text
from unvanish.show.lesson_files import lesson_json, lesson_markdown, list_json, list_markdown


def learnt(words: Sequence[str], screen: Screen, *, format_: str, plot: Path | None) -> str:
    """Return what `unvanish learn` prints.

    Args:
        words: The words of the command line that no option of the command has taken: the name
            of a lesson and its settings.
        screen: Where it will be shown.
        format_: ``"text"``, ``"json"`` or ``"markdown"``.
        plot: Where to draw the plots of the lesson, too; None for nowhere.

    Raises:
        UnvanishError: If there is no such lesson or setting, or the plot cannot be drawn.
    """
    name, settings = _read(words)
    if name in ("", GLOSSARY_WORD):
        if settings or plot is not None:
            said = "--plot" if plot is not None else f"--{next(iter(settings))}"
            raise UnvanishError(
                f"{said} goes with a lesson", help=f"unvanish learn what-vanishes {said} VALUE"
            )
        return _glossary(screen, format_) if name else _list(screen, format_)
    lesson = lesson_of(name)[1]
    with _waiting(lesson.name):
        run = run_lesson(lesson.name, settings)
    if plot is not None:
        from unvanish.show.figures import draw_figure

        draw_figure(run.evidence.plots, plot, title=run.title)
    if format_ == "json":
        return lesson_json(run)
    if format_ == "markdown":
        return lesson_markdown(run, plot="" if plot is None else str(plot))
    text = lesson_text(run, width=screen.width, color=screen.color, ascii=screen.ascii)
    return text if plot is None else f"{text}\nwrote {plot}\n"


def _list(screen: Screen, format_: str) -> str:
    lessons = headings()
    if format_ == "json":
        return list_json(lessons)
    if format_ == "markdown":
        return list_markdown(lessons)
    return lesson_list(lessons, width=screen.width, color=screen.color, ascii=screen.ascii)


def _glossary(screen: Screen, format_: str) -> str:
    parts: Parts = {"One look": GLOSSARY, "A watched run": RUN_GLOSSARY}
    if format_ == "json":
        return glossary_json(parts)
    if format_ == "markdown":
        return glossary_markdown(parts)
    return glossary_text(parts, width=screen.width, color=screen.color, ascii=screen.ascii)


def _read(words: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Tell the name of a lesson from its settings."""
    names: list[str] = []
    settings: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            names.append(word)
            continue
        option, has_value, value = word.lstrip("-").partition("=")
        if not has_value:
            value = next(rest, "")
            if not value or value.startswith("--"):
                raise UnvanishError(
                    f"{word} needs a value",
                    help=f"unvanish learn {' '.join(names) or 'NAME'} {word} VALUE",
                )
        settings[option] = value
    if len(names) > 1:
        raise UnvanishError(
            f"one lesson at a time, and not {' and '.join(names)}",
            help=f"unvanish learn {names[0]}",
        )
    return (names[0] if names else ""), settings


@contextmanager
def _waiting(name: str) -> Iterator[None]:
    """Say on stderr that something is being measured, as long as it is and somebody looks."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"measuring: {name}"):
        yield
