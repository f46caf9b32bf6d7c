"""Lessons whose every claim is an experiment that the reader runs."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

from unvanish.core.errors import UnvanishError
from unvanish.core.lessons import LessonRun
from unvanish.learn.lesson import Lesson
from unvanish.learn.lessons import LESSONS
from unvanish.learn.settings import filled
from unvanish.show.lesson import Heading, lesson_list, lesson_text

__all__ = ["GLOSSARY", "Learnt", "Lessons", "headings", "learn", "lesson_of", "run_lesson"]

GLOSSARY: Final = "glossary"
"""What `unvanish learn` prints beside the lessons."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Learnt(LessonRun):
    """A lesson that has been run. Printing it gives the text of the terminal."""

    @classmethod
    def of(cls, run: LessonRun) -> Self:
        """Take over the records of a run."""
        return cls(**{one.name: getattr(run, one.name) for one in fields(run)})

    def plot(self, file: str | Path) -> Path:
        """Draw the plots of the lesson into a file; needs matplotlib.

        Args:
            file: Where; its ending says what kind of picture: ``.png``, ``.svg``, ``.pdf``.

        Returns:
            The path.

        Raises:
            UnvanishError: If matplotlib is missing, or the file cannot be written.
        """
        from unvanish.show.figures import draw_figure

        return draw_figure(self.evidence.plots, file, title=self.title)

    def __repr__(self) -> str:
        return lesson_text(self, width=shutil.get_terminal_size((80, 24)).columns).rstrip("\n")


class Lessons(tuple[Heading, ...]):
    """The lessons in reading order. Printing it gives the list of the terminal."""

    __slots__ = ()

    def __repr__(self) -> str:
        return lesson_list(self, width=shutil.get_terminal_size((80, 24)).columns).rstrip("\n")


def learn(name: str = "", /, **settings: Any) -> Learnt | Lessons:
    """Run a lesson, or list them all.

    Args:
        name: Name of a lesson, such as ``"what-vanishes"``; empty for the list.
        settings: Settings of the lesson, such as ``depth=50``.

    Returns:
        The lesson with what its experiment gave; or number, name, title and claim of every one.

    Raises:
        UnvanishError: If there is no such lesson or setting, or the value is not legal.
    """
    return run_lesson(name, settings) if name else headings()


def run_lesson(name: str, settings: Mapping[str, object]) -> Learnt:
    """Run a lesson.

    Args:
        name: Its name, or its number.
        settings: What its settings shall be; numbers may be words.

    Returns:
        The lesson with what its experiment gave.

    Raises:
        UnvanishError: If there is no such lesson or setting, or the value is not legal.
    """
    number, lesson = lesson_of(name)
    following = LESSONS[number].name if number < len(LESSONS) else ""
    chosen = filled(lesson.settings, settings, lesson=lesson.name)
    return Learnt.of(lesson.run(chosen, number=number, following=following))


def headings() -> Lessons:
    """Return number, name, title and claim of every lesson, in reading order."""
    return Lessons(
        Heading(number=number, name=one.name, title=one.title, claim=one.claim)
        for number, one in enumerate(LESSONS, 1)
    )


def lesson_of(name: str) -> tuple[int, Lesson[Any]]:
    """Find a lesson.

    Args:
        name: Its name, or its number.

    Returns:
        Its place in the reading order, from 1, and the lesson.

    Raises:
        UnvanishError: If there is no such lesson.
    """
    word = str(name).strip().casefold().replace("_", "-")
    for number, lesson in enumerate(LESSONS, 1):
        if word in (lesson.name, str(number)):
            return number, lesson
    names = [*(lesson.name for lesson in LESSONS), GLOSSARY]
    near = difflib.get_close_matches(word, names, 1, cutoff=0.5)
    raise UnvanishError(
        f"there is no lesson {name}",
        help=f"unvanish learn {near[0]}" if near else "unvanish learn   lists all of them",
    )
