"""What a sink must offer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Protocol, runtime_checkable

from unvanish.core.runs import RunRecording


@runtime_checkable
class Sink(Protocol):
    """Hands a run on to another tool.

    Attributes:
        name: What stands after ``--to``.
        summary: What it makes, in half a sentence.
        suffix: What is put behind the name of the run where no output is named.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    suffix: ClassVar[str]

    def write(self, run: RunRecording, output: str, *, title: str) -> str:
        """Write the run and return where it is now, in words."""
        ...


@runtime_checkable
class TextSink(Sink, Protocol):
    """A sink whose output is text, which ``--output -`` writes to stdout."""

    def lines(self, run: RunRecording, *, title: str) -> Iterator[str]:
        """Yield the lines, each with its end."""
        ...
