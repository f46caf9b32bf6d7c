"""A lesson: a claim, why it should be so, and an experiment that may show otherwise."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import torch

from unvanish.core.errors import CouldNotMeasureError
from unvanish.core.lessons import Evidence, LessonRun, Value
from unvanish.core.sources import Source
from unvanish.learn.settings import options
from unvanish.recipe.seeding import seeded

S = TypeVar("S")
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson(Generic[S]):
    """One lesson; a file of `unvanish.learn.lessons` makes one and calls it ``LESSON``.

    Attributes:
        name: Kebab case; the word after ``unvanish learn``.
        title: In words.
        claim: What it claims, in a sentence or two, without a number that a setting changes.
        text: The explanation: paragraphs, lists, formulas indented by four spaces.
        belief: What is commonly believed, where that is wrong or half true; else empty.
        settings: Frozen dataclass whose fields come from `unvanish.learn.settings`.
        experiment: Measures, in some seconds, and returns the evidence. It is called on one
            thread, with all generators seeded by the setting ``seed``; both are put back.
        falsified_by: What would show that the claim is wrong.
        counterexample: Settings under which the claim does not hold, for the reader to try; empty
            where there are none.
        question: A question to the reader.
        answer: Its answer.
        sources: The works that it rests on.
    """

    name: str
    title: str
    claim: str
    text: str
    belief: str = ""
    settings: type[S]
    experiment: Callable[[S], Evidence]
    falsified_by: str
    counterexample: Mapping[str, Value] = field(default_factory=dict)
    question: str
    answer: str
    sources: tuple[Source, ...]

    def __post_init__(self) -> None:
        """Refuse a name that nobody can type."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is not in kebab case")

    def run(self, settings: S | None = None, *, number: int = 0, following: str = "") -> LessonRun:
        """Make the experiment.

        Args:
            settings: The settings; None for the defaults.
            number: Place of the lesson in the reading order.
            following: Name of the next lesson.

        Returns:
            The lesson with its evidence.

        Raises:
            CouldNotMeasureError: If a network that the settings ask for cannot be measured.
        """
        chosen: Any = self.settings() if settings is None else settings
        start = time.perf_counter()
        try:
            with _at_home(), seeded(getattr(chosen, "seed", 0)):
                evidence = self.experiment(chosen)
        except (ArithmeticError, MemoryError) as error:
            raise CouldNotMeasureError(
                f"the experiment ended with {type(error).__name__}: {error}",
                where=f"lesson {self.name}",
                help=f"unvanish learn {self.name}",
            ) from error
        return LessonRun(
            number=number,
            name=self.name,
            title=self.title,
            claim=self.claim,
            text=self.text,
            belief=self.belief,
            options=options(chosen),
            evidence=evidence,
            falsified_by=self.falsified_by,
            counterexample=self.counterexample,
            question=self.question,
            answer=self.answer,
            sources=tuple(str(source) for source in self.sources),
            seconds=time.perf_counter() - start,
            following=following,
        )


@contextmanager
def _at_home() -> Iterator[None]:
    """Measure alike whatever the caller has set: with gradients, in float32, on the processor.

    One thread, since more only wait for each other in networks as small as those of a lesson.
    """
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    elsewhere = torch.empty(0).device.type != "cpu"
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode(mode=False))
            stack.enter_context(torch.enable_grad())
            if elsewhere:  # it slows every operation down
                stack.enter_context(torch.device("cpu"))
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
