"""The watch at work: what is heard of a run becomes samples in its recording."""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable, Set
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from unvanish.core.errors import UnvanishError
from unvanish.core.glossary import StepQuantity
from unvanish.core.runfile import RunWriter
from unvanish.core.runs import EventKind, RunEvent
from unvanish.watch.cadence import is_sampled, is_whole
from unvanish.watch.compilation import Compilation
from unvanish.watch.flat import Flat, put_taps
from unvanish.watch.forward import Forward
from unvanish.watch.layers import Layer, Layers
from unvanish.watch.losses import Losses
from unvanish.watch.parameters import LeftOver, ParameterGroup
from unvanish.watch.passes import Passes, signal_share
from unvanish.watch.pieces import whole_loss
from unvanish.watch.readings import Row
from unvanish.watch.rounds import Rounds
from unvanish.watch.samples import LONGEST_WAIT, Sample, Samples
from unvanish.watch.scribe import Scribe, put_parameters
from unvanish.watch.shares import Share
from unvanish.watch.sharing import is_one_of_several, sharing_of
from unvanish.watch.taps import Tap
from unvanish.watch.watched import Watched, find_left_over, find_moved

_RAISED: Final = 3.0
"""A learning rate that rises by more than this factor from one step to the next is an event."""

_COMPILED: Final = (
    "torch.compile compiles this model, or a function that may call it: hooks would be ignored or "
    "make it compile anew, so that nothing between the layers is looked at; parameters, updates "
    "and loss are"
)

_ONE_OF_SEVERAL: Final = (
    "several processes train this model: what stands here is of one of them, its own batches and, "
    "of parameters that are sharded, its own shards"
)


class Sampler:
    """Takes the samples of one run. What fails in it is switched off, and the run goes on.

    Args:
        writer: Where the samples go.
        every: Every how many steps a sample is taken, after the first few.
    """

    def __init__(self, writer: RunWriter, every: int) -> None:
        self.writer = writer
        self.every = every
        self.layers = Layers()
        self._compilation = Compilation()
        self._passes = Passes()
        self.optimizers: list[Watched] = []
        self.step = 0
        self.is_sampling = False
        self.is_whole = False
        self.on_sample: list[Callable[[int, dict[str, float]], None]] = []
        self._rounds = Rounds()
        self._losses = Losses()
        self._own_loss = False
        self._turn_of = -1
        self._turns: list[tuple[int, ParameterGroup, Tensor]] = []
        self._is_news = False
        self._left_over: list[LeftOver] = []
        self._depth = 0
        self._inside = -1
        self._passes_inside = 0
        self._begun = False
        self._off: set[str] = set()
        self._started = time.perf_counter()
        self._is_host = False
        self._due = self._started + LONGEST_WAIT
        self.unwatched: list[str] = []
        self.described: Callable[[], None] = _nothing
        self.forward = Forward(
            self.layers, self._owner, lambda error: self.switch_off("activations", error)
        )
        self._scribe = Scribe(writer, self.layers)
        self._scaler: torch.amp.GradScaler | None = None
        self._scale: Tensor | None = None
        self._before_scaling: tuple[int, Tensor] | None = None
        self._samples = Samples()
        self._has_samples = False
        self._shared = 0

    # --- what is heard ---------------------------------------------------------------

    def begin(self) -> None:
        """Begin the present step."""
        self.is_sampling = is_sampled(self.step, self.every) and "samples" not in self._off
        self.is_whole = self.is_sampling and is_whole(self.step, self.every)
        self._begun = False
        self._passes.clear()
        self._scaler = self._scale = self._before_scaling = None
        if self.is_sampling and "activations" not in self._off:
            with self._kept_from_harm("activations"):
                self._open()

    def before_backward(self, root: Tensor | None) -> None:
        """Hear that a backward pass begins; one inside of another is none of ours."""
        self._depth += 1
        if self._depth > 1:
            return
        self._begun = self.forward.in_backward = True
        is_first = self._inside < 0 or self._passes_inside == 0
        if root is not None and is_first and not self._own_loss and "the loss" not in self._off:
            with self._kept_from_harm("the loss"):
                self._losses.put(self.step, self._unscaled(root))

    def after_backward(self, *, completed: bool) -> None:
        """Hear that a backward pass has returned."""
        self._depth -= 1
        if self._depth:
            return
        self.forward.in_backward = False
        if self._inside >= 0:
            self._passes_inside += 1
        is_first = self._inside < 0 or self._passes_inside == 1
        is_wanted = self.is_sampling or self._turn_of >= 0
        if completed and is_first and is_wanted and "parameters" not in self._off:
            with self._kept_from_harm("parameters"), torch.no_grad():
                self._read_gradients()

    def before_step(self, index: int) -> None:
        """Hear that an optimiser is about to step; of a step within its own step, nothing."""
        watched = self.optimizers[index]
        if watched.depth and not watched.is_after:
            watched.depth += 1  # a class of the user's calls the step of the class it builds on
            return
        watched.depth, watched.is_after = 1, False
        if self._rounds.has_stepped(index):
            self.end_round()
        self._begun = True
        self._inside, self._passes_inside = index, 0
        with self._kept_from_harm("the learning rate"):
            self._watch_rate(watched)
        if self.is_sampling and is_one_of_several():
            self._know_others()
        if self.is_sampling and "parameters" not in self._off:
            with self._kept_from_harm("parameters"), torch.no_grad():
                if self._is_pipeline:
                    self._read_gradients()  # a schedule finishes them after the last pass
                for group in watched.groups:
                    group.before_step(getattr(watched.optimizer, "grad_scale", None))

    def after_step(self, index: int) -> None:
        """Hear that an optimiser has stepped."""
        watched = self.optimizers[index]
        watched.depth = max(0, watched.depth - 1)
        watched.is_after = True
        if watched.depth:
            return
        has_closure = self._passes_inside > 0
        self._inside = -1
        is_wanted = self.is_sampling or self._turn_of >= 0
        if is_wanted and "parameters" not in self._off:
            with self._kept_from_harm("parameters"), torch.no_grad():
                if self.is_sampling:
                    for group in watched.groups:
                        if has_closure:
                            group.read_given()
                        group.after_step(with_norms=self.is_whole)
                if self._turn_of >= 0:
                    self._compare(watched)
        self._settle(index)

    def scaled(self, scaler: torch.amp.GradScaler, loss: Any, product: Any) -> None:
        """Hear that a loss was multiplied, to keep its gradients from underflow."""
        self._scaler = scaler
        if isinstance(product, Tensor) and isinstance(loss, Tensor) and loss.numel() == 1:
            self._before_scaling = (id(product), loss.detach())

    def before_scaled_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Hear that a scaler will let an optimiser step, or leave the step out."""
        index = self._index(optimizer)
        if index >= 0:
            if self._rounds.has_stepped(index):
                self.end_round()
            self.optimizers[index].has_stepped = False

    def after_scaled_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Hear that it has done so."""
        index = self._index(optimizer)
        if index >= 0 and not self.optimizers[index].has_stepped:
            with self._kept_from_harm("events"):
                self._event(EventKind.SKIPPED, "the gradient scaler left the step out")
            self._settle(index)

    def _settle(self, index: int) -> None:
        """Count an optimiser as having stepped, and end the round with the last of them."""
        self.optimizers[index].has_stepped = True
        if self.is_sampling:
            self.forward.freeze(index)
        if self._rounds.stepped(index):
            self.end_round()

    def loss(self, value: Tensor | float) -> None:
        """Take a loss for the present step, and from here on no other."""
        if not self._own_loss:
            self._losses.drop(self.step)
            self._own_loss = True
        self._losses.put(self.step, value)

    def end_round(self) -> None:
        """End the present step and begin the next."""
        if self.is_sampling:
            with self._kept_from_harm("samples"), torch.no_grad():
                self._take_sample()
            self._turn_of = self.step if self.is_whole else -1
        else:
            if self._turn_of >= 0:
                self._forget()
            self._turn_of = -1
            if self._losses.is_full or (self._is_host and time.perf_counter() > self._due):
                self.flush()
        self.step += 1
        self._rounds.next()
        self.begin()

    @property
    def last_step(self) -> int:
        """The last step that was begun; -1 before the first."""
        return self.step if self._begun else self.step - 1

    def flush(self, *, at_end: bool = False) -> None:
        """Write what waits.

        Args:
            at_end: Whether no more is to come, so that the present step counts as over.
        """
        self._due = time.perf_counter() + LONGEST_WAIT
        part = "samples" if len(self._samples) else "the loss"
        with self._kept_from_harm(part), torch.no_grad():
            self._write_waiting(self.step + 1 if at_end else self.step)

    # --- who is watched --------------------------------------------------------------

    def add_optimizer(self, optimizer: torch.optim.Optimizer) -> int:
        """Watch an optimiser.

        Returns:
            Its index.
        """
        index = len(self.optimizers)
        self.optimizers.append(Watched(weakref.ref(optimizer, lambda _: self._let_go(index))))
        held = (p for group in optimizer.param_groups for p in group["params"])
        is_host = all(p.device.type == "cpu" for p in held)
        self._is_host = is_host and (self._is_host or not index)
        self._rounds.expect(index)
        self.find_parameters()
        self._is_news = True
        return index

    def _let_go(self, index: int) -> None:
        """Let go of what an optimiser moved that was thrown away, and of its models.

        Of several processes nobody knows what the others still do with theirs.
        """

        def gone(modules: Set[int]) -> None:
            with self._kept_from_harm("parameters"):
                self.forward.let_go(modules)
                self.find_parameters()

        if self._scribe.share is None:
            with self._kept_from_harm("parameters"):
                self.optimizers[index].groups = []
                self._scribe.let_go()
                self.layers.let_go(index, gone)

    def leave_out_activations(self) -> None:
        """Look at parameters, updates and loss alone."""
        self._off.add("activations")

    def find_parameters(self) -> None:
        """Share the parameters of the watched models out among the optimisers.

        What no optimiser moves is looked at too: somebody forgot it, or moves it by other means.
        """
        taken = find_moved(self.optimizers, self.layers)
        gone = {n for n, watched in enumerate(self.optimizers) if watched.optimizer is None}
        self._left_over = find_left_over(self.layers, taken, self._left_over, gone)

    # --- parts -----------------------------------------------------------------------

    def _open(self) -> None:
        """Hook the modules, where hooks do no harm."""
        if self._compilation.concerns([model for _, model in self.layers.models]):
            self._say_unwatched(_COMPILED)
            return
        self.forward.open(is_whole=self.is_whole)

    @property
    def _is_pipeline(self) -> bool:
        return self._scribe.share is not None and self._scribe.share.sharing.is_pipeline

    def _know_others(self) -> None:
        """Find out how this process and others share the models, when a model is new."""
        models = [model for _, model in self.layers.models]
        if len(models) == self._shared:
            return
        self._shared = len(models)
        with self._kept_from_harm("the other processes"):
            sharing = sharing_of(models)
            if self._scribe.share is None:
                self._scribe.share = Share(self.writer, self.layers, sharing)
            self._scribe.share.sharing = sharing
        if self._scribe.share is None:
            self._say_unwatched(_ONE_OF_SEVERAL)

    def _say_unwatched(self, sentence: str) -> None:
        if sentence not in self.unwatched:
            self.unwatched.append(sentence)
            self.described()

    def _owner(self, layer: Layer, model: str) -> int:
        """Return the optimiser whose steps a layer's samples belong to."""
        if layer.optimizer >= 0:
            return layer.optimizer
        module = dict(self.layers.models)[model]
        own = {id(p) for p in module.parameters()}
        counts = [
            sum(id(p) in own for group in watched.groups for p in group.parameters)
            for watched in self.optimizers
        ]
        return max(range(len(counts)), key=counts.__getitem__, default=-1) if any(counts) else -1

    def _index(self, optimizer: torch.optim.Optimizer) -> int:
        return next((n for n, w in enumerate(self.optimizers) if w.optimizer is optimizer), -1)

    def _unscaled(self, root: Tensor) -> Tensor:
        """Return the loss that a pass starts from, loss scale taken out."""
        before, self._before_scaling = self._before_scaling, None
        if before is not None and before[0] == id(root):
            return before[1]
        root = whole_loss(root.detach())
        scale = None if self._scaler is None else self._scaler._scale
        return root if scale is None else root / scale

    def _read_gradients(self) -> None:
        if any(w.is_news for w in self.optimizers):
            self.find_parameters()
            self._is_news = True
        scale = None if self._scaler is None else self._scaler._scale
        self._scale = None if scale is None else scale.detach().clone()
        for index, watched in enumerate(self.optimizers):
            if not self._rounds.has_stepped(index) and self._inside in (-1, index):
                for group in watched.groups:
                    group.read_gradients(
                        self._scale,
                        with_norms=self.is_sampling,
                        with_sample=self.is_whole or self._turn_of >= 0,
                    )
        if self.is_sampling and len(self.optimizers) == 1 and not is_one_of_several():
            self._passes.passed([g for w in self.optimizers for g in w.groups])
        if self.is_whole:
            for left_over in self._left_over:
                left_over.read_gradients(self._scale)

    def _compare(self, watched: Watched) -> None:
        """Compare the gradient with that of the step before, which was sampled."""
        for group in watched.groups:
            turn = group.turn()
            if turn is not None:
                self._turns.append((self._turn_of, group, turn))

    def _groups(self) -> list[ParameterGroup]:
        moved = [group for watched in self.optimizers for group in watched.groups]
        return [*moved, *self._left_over]

    def _forget(self) -> None:
        self.forward.forget()
        for group in self._groups():
            group.forget()

    def _watch_rate(self, watched: Watched) -> None:
        optimizer = watched.optimizer
        groups = [] if optimizer is None else optimizer.param_groups
        rate = groups[0].get("lr") if groups else None
        if not isinstance(rate, int | float):
            return
        before, watched.rate = watched.rate, float(rate)
        if before > 0.0 and not rate <= _RAISED * before:
            self._event(EventKind.RATE, f"the learning rate rose from {before:g} to {rate:g}")
        elif before > 0.0 and rate == 0.0:
            self._event(EventKind.RATE, f"the learning rate fell from {before:g} to 0")

    def _take_sample(self) -> None:
        self.forward.close()
        groups = self._groups() if "parameters" not in self._off else []
        taps = list(self.forward.taps) if "activations" not in self._off else []
        if not self._samples.fits(groups, taps):
            self._write_waiting(self.step)
        is_due = self._samples.put(self._sample(groups, taps))
        if is_due or self._scribe.share is not None:
            self._write_waiting(self.step + 1)
        self._forget()

    def _sample(self, groups: list[ParameterGroup], taps: list[Tap]) -> Sample:
        """Return what was read at the present step."""
        if self.is_whole and groups:
            for left_over in self._left_over:
                left_over.look_again()
        flat = Flat()
        if self._scale is not None:
            flat.put("scale", self._scale)
        self._passes.put(flat)
        return Sample(
            step=self.step,
            is_whole=self.is_whole,
            seconds=time.perf_counter() - self._started,
            rate=next((w.rate for w in self.optimizers if not math.isnan(w.rate)), math.nan),
            groups=groups,
            of_groups=[group.take() for group in groups],
            taps=taps,
            of_taps=[tap.take() for tap in taps],
            pieces=flat.pieces,
            answers=self.forward.take_answers(),
        )

    def _write_waiting(self, before: int) -> None:
        """Fetch everything that waits, by one transfer, and write it.

        Args:
            before: Losses of this step and later ones are not over, and go on waiting.
        """
        flat, samples = Flat(), self._samples.take()
        if samples:
            self._put_samples(flat, samples)
        losses, steps = self._losses.stacked(before)
        if losses is not None:
            flat.put("losses", losses)
        turns, self._turns = self._turns, []
        for number, (_, _, turn) in enumerate(turns):
            flat.put(f"turn {number}", turn)
        found = flat.fetch()
        if samples and self.layers.settle():
            self._is_news = True
        self._scribe.turns([(step, group) for step, group, _ in turns], found)
        by_step = self._losses.by_step(before, steps, found.get("losses", np.zeros(0)))
        self._scribe.losses(by_step)
        if samples:
            self._write_samples(samples, found, dict(by_step))

    def _put_samples(self, flat: Flat, samples: list[Sample]) -> None:
        """Put the sums of samples into a transfer."""
        if samples[0].taps:
            with self._kept_from_harm("activations"):
                put_taps(flat, [each for s in samples for each in s.of_taps], samples[0].taps)
        for sample in samples:
            for name, piece in sample.pieces.items():
                flat.put(f"{name} {sample.step}", piece)
        put_parameters(flat, samples)

    def _write_samples(
        self, samples: list[Sample], found: dict[str, Row], losses: dict[int, float]
    ) -> None:
        """Write samples that were fetched, and tell those who want to hear of them."""
        for sample in samples:
            sample.found = {name: found[f"{name} {sample.step}"] for name in sample.pieces}
        rows, numbers = self._scribe.parameters(samples, found)
        between = self._scribe.activations(samples, found)
        for sample, of_parameters, of_taps in zip(samples, rows, between, strict=True):
            self.writer.sample(sample.step, of_parameters | of_taps)
        if self._is_news:
            self._is_news = False
            self.writer.layers([layer.record() for layer in self.layers.settled])
        if self._scribe.share is not None:
            self._scribe.share.write(samples[0].step)
        by_step = [
            (sample.step, more | _numbers_of(sample))
            for sample, more in zip(samples, numbers, strict=True)
        ]
        self._scribe.numbers(by_step)
        for step, of_step in by_step:
            light = {quantity.value: value for quantity, value in of_step.items()}
            light[StepQuantity.LOSS.value] = losses.get(step, math.nan)
            for heard in tuple(self.on_sample):
                heard(step, light)
        if not self._has_samples:
            self._has_samples = True
            self.described()

    def _event(self, kind: EventKind, text: str, *, step: int | None = None) -> None:
        now = max(self.last_step, 0) if step is None else step
        self.writer.event(RunEvent(step=now, kind=kind, text=text))

    def switch_off(self, part: str, error: Exception) -> None:
        """Look at a part no more, and say why in the recording."""
        if part in self._off:
            return
        self._off.add(part)
        try:
            why = f"{part} could not be looked at: {type(error).__name__}: {error}"
            self._event(EventKind.NOT_MEASURED, why)
        except UnvanishError:  # the recording itself is what failed
            self._off.add("samples")

    def _kept_from_harm(self, part: str) -> _Harmless:
        return _Harmless(self, part)


class _Harmless:
    """Keeps what fails inside of it from the user's run."""

    def __init__(self, sampler: Sampler, part: str) -> None:
        self._sampler = sampler
        self._part = part

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        self._sampler.switch_off(self._part, error)
        return True


def _numbers_of(sample: Sample) -> dict[StepQuantity, float]:
    """Return what a sample says of the whole run besides norms."""
    numbers = {StepQuantity.SECONDS: sample.seconds, StepQuantity.LEARNING_RATE: sample.rate}
    if sample.answers >= 0:
        numbers[StepQuantity.ANSWERS] = float(sample.answers)
    if "scale" in sample.found:
        numbers[StepQuantity.LOSS_SCALE] = sample.scale
    if "passes" in sample.found:
        numbers[StepQuantity.SIGNAL_SHARE] = signal_share(sample.found["passes"])
    return numbers


def _nothing() -> None:
    """Do nothing."""
