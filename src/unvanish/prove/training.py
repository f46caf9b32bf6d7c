"""Train one network as a job says, and measure what it came to. A failure is a result."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.errors import UnvanishError
from unvanish.core.prescriptions import Outlook
from unvanish.core.proofs import Job, Run
from unvanish.diagnose import diagnose
from unvanish.observe import trace
from unvanish.observe.batch import as_batch, call_model
from unvanish.observe.look import Conditions, running
from unvanish.observe.loss import compute_loss
from unvanish.observe.memory import kept_bytes
from unvanish.observe.optimizer import learning_rates, stepping
from unvanish.prove.endpoints import measure, score
from unvanish.prove.experiment import Experiment, Subject
from unvanish.recipe.seeding import seed_all, seeded
from unvanish.recipe.usercode import is_out_of_memory
from unvanish.treat.prescribing import outlook_of

_POINTS: Final = 24
"""How many points of the training loss a run keeps."""
_RUNAWAY: Final = 1e6
"""Times its first value (or 1, if that is more) at which a loss counts as diverged."""
_ORDER: Final = 1_000_003
"""Distance of the seed of everything random in training from that of the weights."""


def execute(experiment: Experiment, job: Job) -> Run:
    """Do one training run.

    Args:
        experiment: What is trained on what.
        job: The run that is asked for.

    Returns:
        What it came to. Whatever goes wrong in it stands in `Run.diverged` or `Run.failed`.
    """
    around = experiment.surroundings() if experiment.surroundings is not None else nullcontext()
    try:
        with around, seeded(job.seed):
            return _Course(experiment, job).run()
    except UnvanishError as error:
        return Run(job=job, failed=error.what)
    except Exception as error:  # one arm that fails must not take the others with it
        if is_out_of_memory(error):
            return Run(job=job, failed=f"out of memory: {_first_line(error)}")
        return Run(job=job, failed=f"{type(error).__name__}: {_first_line(error)}")


class _Course:
    """One run from the first step to the last."""

    def __init__(self, experiment: Experiment, job: Job) -> None:
        self._experiment, self._job = experiment, job
        self._subject = experiment.subject(job)
        seed_all(job.seed + _ORDER)
        self._losses: list[float] = []
        self._seconds = 0.0
        self._peak = 0
        self._diverged = ""

    def run(self) -> Run:
        """Take the steps, stop where the loss is no number any more, and measure."""
        job, subject = self._job, self._subject
        rate = max(learning_rates(subject.optimizer).values(), default=math.nan)
        metrics_at: dict[str, float] = {}
        batches = self._experiment.partition.stream(job.seed)
        for number in range(1, job.steps + 1):
            self._step(next(batches))
            if self._diverged:
                break
            if number in job.checkpoints and number < job.steps:
                metrics_at[str(number)] = self._metric()
        trained = not self._diverged
        return Run(
            job=job,
            metric=self._metric() if trained and job.judged else math.nan,
            metrics_at=metrics_at,
            validation=self._validation() if trained else math.nan,
            **self._curve(),
            steps=len(self._losses),
            seconds=self._seconds,
            peak_bytes=self._peak,
            parameters=sum(p.numel() for p in subject.model.parameters() if p.requires_grad),
            diverged=self._diverged,
            learning_rate=rate,
            end=self._examined() if trained and job.examined else None,
        )

    def _step(self, raw: Any) -> None:
        subject = self._subject
        counting = self._job.examined and not self._losses
        start = time.perf_counter()
        if counting:
            with kept_bytes() as kept:
                value = _stepped(subject, raw)
            self._peak = sum(kept.values())
        else:
            value = _stepped(subject, raw)
        self._seconds += time.perf_counter() - start
        self._losses.append(value)
        first = next((loss for loss in self._losses if math.isfinite(loss)), math.nan)
        if not math.isfinite(value):
            self._diverged = f"the loss is {value} at step {len(self._losses)}"
        elif value > _RUNAWAY * max(1.0, abs(first)):
            self._diverged = f"the loss is {value:.1e} at step {len(self._losses)}"

    def _curve(self) -> dict[str, Any]:
        """Return the training loss in a few points, each the mean since the one before."""
        count = len(self._losses)
        ends = sorted({1, *(round(count * k / _POINTS) for k in range(1, _POINTS + 1))} - {0})
        ends = [end for end in ends if end <= count]
        starts = [0, *ends[:-1]]
        means = [math.fsum(self._losses[a:b]) / (b - a) for a, b in zip(starts, ends, strict=True)]
        return {"losses": tuple(means), "loss_steps": tuple(ends)}

    def _metric(self) -> float:
        with _asking(self._subject.model, self._job.seed):
            return measure(self._experiment, self._subject)

    def _validation(self) -> float:
        with _asking(self._subject.model, self._job.seed):
            return score(self._experiment, self._subject)

    def _examined(self) -> Outlook | None:
        """Look at the trained network as a check does; None where it cannot be looked at."""
        subject = self._subject
        try:
            recording = trace(
                subject.model,
                self._experiment.partition.first,
                subject.loss,
                optimizer=subject.optimizer,
                batches=1,
                probe_steps=1,
                seed=self._job.seed,
                autocast=subject.autocast,
                clip_grad_norm=subject.clip_grad_norm,
            )
            return outlook_of(recording, diagnose(recording))
        except UnvanishError:
            return None


def _stepped(subject: Subject, raw: Any) -> float:
    """Take one step of the optimiser, and return the loss before it."""
    batch = as_batch(raw, subject.model)
    device = next((p.device for p in subject.model.parameters()), torch.device("cpu"))
    conditions = Conditions(None, 0, subject.autocast, {})

    def closure() -> Tensor:
        subject.optimizer.zero_grad(set_to_none=True)
        with running(conditions, device):
            loss = compute_loss(subject.loss, call_model(subject.model, batch.inputs), batch)[0]
        if loss.grad_fn is not None and math.isfinite(float(loss.detach())):
            loss.backward()
        return loss

    if isinstance(stepping(subject.optimizer), torch.optim.LBFGS):
        loss: Any = subject.optimizer.step(closure)  # type: ignore[arg-type]
        value = float(loss.detach())
    else:
        value = float(closure().detach())
        if subject.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(subject.model.parameters(), subject.clip_grad_norm)
        if math.isfinite(value):
            subject.optimizer.step()
    return value


class _asking:  # noqa: N801 (used as a statement)
    """Evaluate a network in a block, and leave its modes and the random streams as they were."""

    def __init__(self, model: nn.Module, seed: int) -> None:
        self._modes = [(module, module.training) for module in model.modules()]
        self._seeded = seeded(seed)
        self._model = model

    def __enter__(self) -> None:
        self._seeded.__enter__()
        self._model.eval()

    def __exit__(self, *error: Any) -> None:
        for module, training in self._modes:
            module.training = training
        self._seeded.__exit__(*error)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:300]
