"""What a run measured last, in Prometheus' text format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.glossary import RUN_GLOSSARY, LayerQuantity, StepQuantity
from unvanish.core.runs import RunRecording
from unvanish.sinks.files import write_lines
from unvanish.sinks.rows import labels


@final
@dataclass(frozen=True)
class PrometheusSink:
    """For the textfile collector of the node exporter; the file is replaced at once, not edited."""

    name: ClassVar[str] = "prometheus"
    summary: ClassVar[str] = "the last value of everything, for Prometheus' textfile collector"
    suffix: ClassVar[str] = ".prom"

    def lines(self, run: RunRecording, *, title: str) -> Iterator[str]:
        """Yield the exposition."""
        of_run = f'run="{_escaped(title)}"'
        names = labels(run)
        yield from _gauge("last_step", "the last step that was begun", [(of_run, run.last_step)])
        yield from _gauge("ended", "1 once the run was closed", [(of_run, int(run.is_ended))])
        for quantity, known in run.by_step.items():
            if known.steps:
                yield from _gauge(quantity, _help(quantity), [(of_run, known.values[-1])])
        for layered, series in run.by_layer.items():
            last: dict[int, float] = {}
            for row in series.rows:
                measured = enumerate(row[: len(names)])
                last.update((k, value) for k, value in measured if not math.isnan(value))
            samples = [
                (f'{of_run},layer="{_escaped(names[index])}",index="{index}"', value)
                for index, value in sorted(last.items())
            ]
            yield from _gauge(layered, _help(layered), samples)

    def write(self, run: RunRecording, output: str, *, title: str) -> str:
        """Write the file and return its name."""
        return write_lines(self.lines(run, title=title), output)


def _gauge(name: str, about: str, samples: list[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP unvanish_{name} {about}\n"
    yield f"# TYPE unvanish_{name} gauge\n"
    for label, value in samples:
        yield f"unvanish_{name}{{{label}}} {_number(value)}\n"


def _help(quantity: LayerQuantity | StepQuantity) -> str:
    entry = RUN_GLOSSARY[quantity]
    return f"{entry.meaning}: {entry.formula}".replace("\\", "\\\\").replace("\n", " ")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return f"{value:.9g}" if math.isfinite(value) else ("+Inf" if value > 0 else "-Inf")
