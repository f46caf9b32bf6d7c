"""Looks at networks before and after a treatment of a copy, all in the same way."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from torch import nn

from unvanish.core.conditions import RunContext
from unvanish.core.errors import UnvanishError
from unvanish.core.findings import Severity
from unvanish.core.places import SourceLine
from unvanish.core.prescriptions import Option, Outlook, Prescription
from unvanish.core.records import Recording
from unvanish.diagnose import diagnose
from unvanish.observe.batch import as_batch, call_model, main_output
from unvanish.observe.guard import seed_everything, untouched
from unvanish.observe.memory import kept_bytes
from unvanish.observe.optimizer import OptimizerLike, follow
from unvanish.observe.tracing import trace
from unvanish.treat.patch.rewriters import REWRITERS
from unvanish.treat.ranking import burden, leads_round, outlook_of, worrying
from unvanish.treat.treatment import Treated, treat

_log = logging.getLogger(__name__)


class Looker:
    """Looks at networks, all in the same way."""

    def __init__(
        self,
        batch: Any,
        loss: Callable[..., Any] | str | None,
        optimizer: OptimizerLike,
        model: nn.Module,
        probe_steps: int,
        seed: int,
        built: Mapping[nn.Module, SourceLine] | None,
        context: RunContext,
    ) -> None:
        self._batch, self._loss, self._optimizer = batch, loss, optimizer
        self._autocast = context.autocast
        self._clip = context.optimizer.clip_grad_norm if context.optimizer else None
        self._model, self._probe_steps, self._seed = model, probe_steps, seed
        self._built = built
        self._batches = 1
        self._data: tuple[Any, ...] = ()
        self._unseen: Mapping[str, str] = {}
        self._first: Recording | None = None
        """The network as it is, which every remedy then need not look at again."""

    def lengthen(self, context: RunContext, data: Iterable[Any] | None) -> bool:
        """Take as many steps and batches from now on as a check did.

        Args:
            context: Under what the check looked.
            data: Further batches.

        Returns:
            Whether that is more than before.
        """
        further = _first_of(data, context.batches)
        steps = max(self._probe_steps, context.probe_steps)
        batches = context.batches if further else 1
        if steps == self._probe_steps and batches == self._batches:
            return False
        self._probe_steps, self._batches, self._data = steps, batches, further
        return True

    def admit(self, findings: Mapping[str, str]) -> None:
        """Hold what these looks cannot show to be left, as none of them shows that it is gone.

        Args:
            findings: Code to severity.
        """
        self._unseen = findings

    def outlook(self, recording: Recording, model: nn.Module) -> Outlook:
        """Sum a look at a network up, with what it costs."""
        found = outlook_of(recording, diagnose(recording), self.cost(model))
        both = (*self._unseen.items(), *found.findings.items())
        return replace(found, findings=dict(sorted(both, key=lambda one: Severity(one[1]).rank)))

    def at(self, model: nn.Module, loss: Any, treated: Treated | None = None) -> Recording:
        """Trace a network."""
        optimizer = treated.optimizer if treated and treated.optimizer else self._optimizer
        if treated is not None and treated.optimizer is None:
            optimizer = follow(self._optimizer, self._model, model)
        found = trace(
            model,
            self._batch,
            loss,
            optimizer=optimizer,
            data=self._data or None,
            batches=self._batches,
            probe_steps=self._probe_steps,
            seed=self._seed,
            autocast=treated.autocast if treated else self._autocast,
            clip_grad_norm=treated.clip_grad_norm if treated else self._clip,
            built=self._built if treated is None else None,
        )
        if treated is None:
            self._first = found
        return found

    def cost(self, model: nn.Module) -> tuple[float, int]:
        """Return the milliseconds of one forward and backward pass, and what it keeps in bytes.

        The time is that of the faster of two.
        """
        batch = as_batch(self._batch, model)
        best = math.inf
        with untouched(model, seed=self._seed):
            for _ in range(2):
                seed_everything(self._seed)
                start = time.perf_counter()
                output = main_output(call_model(model, batch.inputs))
                if output is not None and output.requires_grad:
                    output.sum().backward()
                best = min(best, time.perf_counter() - start)
            seed_everything(self._seed)
            with kept_bytes() as kept:
                call_model(model, batch.inputs)
        return 1000.0 * best, sum(kept.values())

    def option(
        self,
        asked: tuple[Prescription | str, ...],
        before: Outlook,
    ) -> Option:
        """Treat a copy and look at it."""
        names = tuple(one if isinstance(one, str) else one.remedy for one in asked)
        try:
            treated = treat(
                self._model,
                list(asked),
                self._batch,
                self._loss,
                optimizer=self._optimizer,
                recording=self._first,
                validate=False,
                seed=self._seed,
                built=self._built,
                autocast=self._autocast,
                clip_grad_norm=self._clip,
            )
            recording = self.at(treated.model, treated.loss, treated)
            after = self.outlook(recording, treated.model)
        except UnvanishError as error:
            return Option(remedies=names, failed=error.what)
        except Exception as error:  # one remedy that fails must not hide the others
            _log.debug("%s failed", names, exc_info=True)
            return Option(remedies=names, failed=f"{type(error).__name__}: {error}")
        gone = tuple(sorted(worrying(before) - worrying(after)))
        come = tuple(sorted(worrying(after) - worrying(before)))
        return Option(
            remedies=tuple(one.remedy for one in treated.prescriptions),
            prescriptions=treated.prescriptions,
            receipts=treated.receipts,
            outlook=after,
            cures=gone,
            brings=come,
            score=-burden(after, leads_round=leads_round(treated.prescriptions)),
            can_be_written=all(name in REWRITERS for name in names),
        )


def _first_of(data: Iterable[Any] | None, number: int) -> tuple[Any, ...]:
    """Return the first of some batches, so that every look is at the same ones."""
    if data is None or number < 2:
        return ()
    try:
        return tuple(islice(iter(data), number))
    except Exception:  # the check that comes first has told of it
        _log.debug("reading data failed", exc_info=True)
        return ()
