"""Watch a training run: `observe` gives a `Watch`, and a ``with`` block is all it takes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from unvanish.core.errors import UnvanishError
from unvanish.core.runfile import RunWriter
from unvanish.core.runs import EventKind, RunConditions, RunEvent, RunRecording
from unvanish.watch import backward, scaling
from unvanish.watch.cadence import is_sampled
from unvanish.watch.conditions import conditions_of
from unvanish.watch.ranks import copied, file_of, with_others
from unvanish.watch.sampler import Sampler
from unvanish.watch.sharing import own_rank, unwrapped

if TYPE_CHECKING:
    from unvanish.core.findings import Diagnosis

_PATIENCE: Final = 3.0
"""Seconds to wait for the recordings of other processes, once this one's has ended."""

Models = nn.Module | Iterable[nn.Module] | Mapping[str, nn.Module]
Optimizers = torch.optim.Optimizer | Iterable[torch.optim.Optimizer]


def observe(
    model: Models = (),
    optimizer: Optimizers = (),
    *,
    every: int = 50,
    file: str | Path | None = None,
    activations: bool = True,
    target: str = "",
) -> Watch:
    """Watch a training run without changing it.

    >>> with unvanish.observe(model, optimizer) as watch:  # doctest: +SKIP
    ...     for x, y in loader:
    ...         optimizer.zero_grad()
    ...         loss_function(model(x), y).backward()
    ...         optimizer.step()
    >>> print(watch)  # doctest: +SKIP

    Args:
        model: The model, several, or names to models.
        optimizer: The optimiser, or several. Every parameter of the models that one of them
            moves is watched.
        every: Every how many steps a sample is taken, from 1; steps 0, 1, 2, 4, 8, 16 and 32
            are sampled besides.
        file: Where the recording is kept while the run goes on, so that nothing is lost when it
            is killed; None keeps it in memory. A file that is there is never replaced. Of
            several processes each has a file of its own, for ``"run.sqlite"`` the second one
            ``"run.rank1.sqlite"``, and who opens one of them sees the whole run.
        activations: Whether to look at what is between the layers, and not at parameters alone.
        target: What is run, for the recording's header.

    Returns:
        A watch that begins with a ``with`` block, or with its ``start()``.

    Raises:
        UnvanishError: If an argument is of no use, or `file` cannot be made.
    """
    if every < 1:
        raise UnvanishError(
            f"every={every} is no number of steps", help="unvanish.observe(model, every=50)"
        )
    if file is not None:
        file = file_of(file, own_rank())
    watch = Watch(every=every, file=file, activations=activations, target=target)
    for name, each in _named(model):
        watch.add(each, name=name)
    for each_optimizer in _several(optimizer):
        watch.add(optimizer=each_optimizer)
    return watch


class Watch:
    """A run that is being watched, and what came of it. Made by `observe`.

    A step is one turn of the optimiser, or of every optimiser where several take turns. The
    loss of a step is the sum of what ``backward`` was called on, the loss scale taken out.

    Attributes:
        on_sample: Functions that are called after every sample, with its step and the quantities
            of the whole run by name.
    """

    def __init__(
        self, *, every: int, file: str | Path | None, activations: bool, target: str
    ) -> None:
        self.every = every
        self.target = target
        self.is_running = False
        self.sampler = Sampler(RunWriter(file), every)
        self._handles: list[RemovableHandle] = []
        self._whole: RunRecording | None = None
        self._ended_at: int | None = None
        self._conditions: RunConditions | None = None
        self.sampler.described = self._write_conditions
        if not activations:
            self.sampler.leave_out_activations()

    # --- whom ------------------------------------------------------------------------

    def add(
        self,
        model: nn.Module | None = None,
        optimizer: torch.optim.Optimizer | None = None,
        name: str = "",
    ) -> None:
        """Watch one more model, or one more optimiser, from here on.

        Args:
            model: The model. One that is watched already is no news.
            optimizer: The optimiser. So is one of those.
            name: What the model is called where there are several.

        Raises:
            UnvanishError: If it is neither.
        """
        if model is not None:
            if not isinstance(model, nn.Module):
                raise _no_model(model)
            model = unwrapped(model)
            if not any(known is model for _, known in self.sampler.layers.models):
                self.sampler.layers.add(model, name)
                self.sampler.find_parameters()
                if self.sampler.forward.is_open:
                    self.sampler.forward.find_modules()
        if optimizer is not None:
            stepping = _stepping(optimizer)
            if not any(known.optimizer is stepping for known in self.sampler.optimizers):
                index = self.sampler.add_optimizer(stepping)
                if self.is_running:
                    self._hook(index)
        if self.is_running:
            self._write_conditions()

    # --- when ------------------------------------------------------------------------

    def start(self) -> Self:
        """Begin to watch."""
        if not self.is_running:
            self.is_running = True
            backward.listen(self.sampler)
            scaling.listen(self.sampler)
            for index in range(len(self.sampler.optimizers)):
                self._hook(index)
            self.sampler.begin()
            self._write_conditions()
        return self

    def stop(self, *, ended: bool = True) -> None:
        """Watch no more, leave everything as it was found, and let go of models and optimisers.

        Args:
            ended: Whether the run came to its end.
        """
        if not self.is_running:
            return
        self.is_running = False
        backward.ignore(self.sampler)
        scaling.ignore(self.sampler)
        self.sampler.forward.close()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.sampler.flush(at_end=True)
        self._ended_at = self.last_step
        self.sampler.writer.close(ended=ended, last_step=self._ended_at)
        past, self.sampler = self.sampler, Sampler(self.sampler.writer, self.every)
        self.sampler.step, self.sampler.on_sample = past.step, past.on_sample

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and kind is not None and self.sampler.writer.is_open:
            said = f"{kind.__name__}: {error}".rstrip(": ")
            self.sampler.writer.event(
                RunEvent(step=max(self.last_step, 0), kind=EventKind.STOPPED, text=said)
            )
        self.stop(ended=error is None)

    @property
    def step(self) -> int:
        """The present step, from 0; one more than the optimiser has completed."""
        return self.sampler.step

    @property
    def last_step(self) -> int:
        """The last step that was begun; -1 before the first."""
        return self.sampler.last_step if self._ended_at is None else self._ended_at

    def sampled(self, step: int) -> bool:
        """Tell whether a step is sampled."""
        return is_sampled(step, self.every)

    def loss(self, value: Tensor | float) -> None:
        """Say what the loss of the present step is, where it is not what backward is called on.

        From the first call on, only what is said counts; several in one step are added up.
        """
        self.sampler.loss(value)

    @property
    def on_sample(self) -> list[Callable[[int, dict[str, float]], None]]:
        """Functions to call after every sample, with its step and a few numbers by name."""
        return self.sampler.on_sample

    # --- what came of it -------------------------------------------------------------

    @property
    def recording(self) -> RunRecording:
        """The run as far as it was watched, everything that waits included.

        Of several processes, what they have left so far is put together.
        """
        if self.is_running:
            self.sampler.flush()
        elif self._whole is not None:
            return self._whole
        recording, path = self.sampler.writer.recording(), self.sampler.writer.path
        if recording.sums:
            patience = 0.0 if self.is_running else _PATIENCE
            recording = with_others(recording, path, patience)
            self._whole = None if self.is_running else recording
        return recording

    @property
    def diagnosis(self) -> Diagnosis:
        """What the rules make of the run, as far as it was watched."""
        from unvanish.diagnose.running import diagnose_run

        return diagnose_run(self.recording)

    def text(
        self,
        *,
        width: int | None = None,
        color: bool = False,
        ascii: bool = False,
        verbose: bool = False,
    ) -> str:
        """Return the run and its diagnosis as text for a terminal.

        Args:
            width: Columns; as wide as the terminal if None.
            color: Whether to use colours.
            ascii: Whether to do without other characters than ASCII.
            verbose: Whether to leave nothing out.
        """
        from unvanish.diagnose.running import diagnose_run
        from unvanish.show.run import run_text

        recording = self.recording
        return run_text(
            recording,
            diagnose_run(recording),
            width=width,
            color=color,
            ascii=ascii,
            verbose=verbose,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the run and its diagnosis in the layout that ``unvanish show --json`` prints."""
        from unvanish.diagnose.running import diagnose_run
        from unvanish.show.run_json import run_json

        recording = self.recording
        return run_json(recording, diagnose_run(recording))

    def save(self, path: str | Path) -> None:
        """Write the recording, as far as it is, into a file of its own.

        Args:
            path: A file that is not there yet.
        """
        copied(self.recording, path)

    def __repr__(self) -> str:
        return self.text(color=sys.stdout.isatty())

    # --- parts -----------------------------------------------------------------------

    def _hook(self, index: int) -> None:
        sampler = self.sampler
        optimizer = sampler.optimizers[index].optimizer
        if optimizer is None:
            return

        def before(*_: Any) -> None:
            sampler.before_step(index)

        def after(*_: Any) -> None:
            sampler.after_step(index)

        self._handles.append(optimizer.register_step_pre_hook(before))
        self._handles.append(optimizer.register_step_post_hook(after))

    def _write_conditions(self) -> None:
        """Write them as they are now; what is said of what was thrown away is said once more."""
        optimizers = [watched.optimizer for watched in self.sampler.optimizers]
        models = [model for _, model in self.sampler.layers.models]
        now = conditions_of(
            models,
            [each for each in optimizers if each is not None],
            target=self.target,
            every=self.every,
            autocast=self.sampler.forward.autocast,
            batch=self.sampler.forward.batch,
            unwatched=tuple(self.sampler.unwatched),
        )
        before = self._conditions
        if before is not None and (None in optimizers or not models):
            told = iter(now.optimizers)
            known = [
                before.optimizers[n] if each is None else next(told)
                for n, each in enumerate(optimizers)
                if each is not None or n < len(before.optimizers)
            ]
            now = replace(now, optimizers=tuple(known))
            if not models:
                now = replace(now, device=before.device, dtype=before.dtype)
        self._conditions = now
        self.sampler.writer.conditions(now)


def _named(model: Models) -> list[tuple[str, nn.Module]]:
    if isinstance(model, nn.Module):
        return [("", model)]
    if isinstance(model, Mapping):
        return [(str(name), each) for name, each in model.items()]
    if not isinstance(model, Iterable):
        raise _no_model(model)
    models = list(model)
    if len(models) == 1:
        return [("", models[0])]
    return [(type(unwrapped(each)).__name__.lower(), each) for each in models]


def _several(optimizer: Optimizers) -> list[torch.optim.Optimizer]:
    if isinstance(optimizer, Iterable):
        return list(optimizer)
    return [optimizer]


def _stepping(optimizer: Any) -> torch.optim.Optimizer:
    """Return the optimiser that takes the steps: what a trainer's wrapper around it holds."""
    inner = next(
        (
            vars(optimizer)[k]
            for k in ("optimizer", "_optimizer", "base_optimizer", "inner")
            if k in getattr(optimizer, "__dict__", {})
        ),
        None,
    )
    if isinstance(inner, torch.optim.Optimizer):
        return _stepping(inner)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise UnvanishError(
            f"{type(optimizer).__name__} is no optimiser",
            help="unvanish.observe(model, torch.optim.AdamW(model.parameters()))",
        )
    return optimizer


def _no_model(model: object) -> UnvanishError:
    return UnvanishError(
        f"{type(model).__name__} is no model", help="unvanish.observe(model, optimizer)"
    )
