"""A run as a run of MLflow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, final

from unvanish.core.errors import import_optional
from unvanish.core.runs import RunRecording
from unvanish.sinks.rows import clock, tagged

_BATCH: Final = 1000
"""Metrics that MLflow takes at once."""

_FOREIGN: Final = re.compile(r"[^\w./ :-]")


@final
@dataclass(frozen=True)
class MlflowSink:
    """Into a database of its own, or the tracking server whose address is the output."""

    name: ClassVar[str] = "mlflow"
    summary: ClassVar[str] = "a run of MLflow, in a database or on a tracking server"
    suffix: ClassVar[str] = "-mlflow.db"

    def write(self, run: RunRecording, output: str, *, title: str) -> str:
        """Write the run and return what shows it."""
        mlflow = import_optional("mlflow", extra="mlflow", purpose="an export to MLflow")
        address = output if "://" in output else f"sqlite:///{Path(output).absolute().as_posix()}"
        client = mlflow.MlflowClient(tracking_uri=address)
        known = client.get_experiment_by_name("unvanish")
        experiment = client.create_experiment("unvanish") if known is None else known.experiment_id
        made = client.create_run(experiment, run_name=title).info.run_id
        for name, value in _parameters(run):
            client.log_param(made, name, value)
        batch: list[Any] = []
        for metric in _metrics(run, mlflow.entities.Metric):
            batch.append(metric)
            if len(batch) == _BATCH:
                client.log_batch(made, metrics=batch)
                batch = []
        if batch:
            client.log_batch(made, metrics=batch)
        client.set_terminated(made, status="FINISHED" if run.is_ended else "KILLED")
        return f"{output}   (mlflow ui --backend-store-uri {address})"


def _metrics(run: RunRecording, metric: Any) -> Iterator[Any]:
    at = clock(run)
    for step, numbers in tagged(run):
        moment = round(1000 * at(step))
        for tag, value in numbers.items():
            yield metric(_FOREIGN.sub("_", tag), value, moment, step)


def _parameters(run: RunRecording) -> Iterator[tuple[str, str]]:
    conditions = run.conditions
    yield from (
        (name, str(value))
        for name, value in (
            ("target", conditions.target),
            ("every", conditions.every),
            ("device", conditions.device),
            ("dtype", conditions.dtype),
            ("autocast", conditions.autocast),
            ("batch", conditions.batch),
            ("world_size", conditions.world_size),
            ("strategy", conditions.strategy),
        )
        if value
    )
    for index, optimizer in enumerate(conditions.optimizers):
        yield f"optimizer_{index}", str(optimizer)
