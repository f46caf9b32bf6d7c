"""The lessons, one a file, and the order to read them in."""

from __future__ import annotations

from typing import Any, Final

from unvanish.learn.lesson import Lesson
from unvanish.learn.lessons.what_vanishes import LESSON as WHAT_VANISHES

LESSONS: Final[tuple[Lesson[Any], ...]] = (WHAT_VANISHES,)
"""All lessons in reading order."""
