"""Who watches: nobody, unvanish, and norms taken by hand."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, ClassVar

import torch
from torch import Tensor

import unvanish
from benchmarks.watching.cases import Training
from unvanish.watch import backward, scaling
from unvanish.watch.cadence import is_sampled, is_whole


class Arm:
    """A plain step, and where somebody who watches may put in a word.

    Attributes:
        name: What it is called on the page.
        requires: The distribution it needs; empty for none.
        says: How it is used, for the page.
        is_own: Whether it is one of unvanish's, or a plain step: they take more steps.
        is_paired: Whether it can pause, so that its own process takes plain steps in between:
            two processes that do the same differ by some per cent, by where their memory lies.

    Args:
        training: The run.
    """

    name = "plain step"
    requires = ""
    says = "zero_grad, forward, cross-entropy, backward, step"
    is_own = True
    is_paired = True

    def __init__(self, training: Training) -> None:
        self.training = training

    def begin(self) -> None:
        """Begin to watch."""

    def step(self) -> None:
        """Take one step."""
        self.training.optimizer.zero_grad()
        loss = self.training.loss()
        loss.backward()
        self.after_backward()
        self.training.optimizer.step()
        self.after_step(loss)

    def plain_step(self) -> None:
        """Take a step that nobody sees."""
        self.training.optimizer.zero_grad()
        self.training.loss().backward()
        self.training.optimizer.step()

    def after_backward(self) -> None:
        """See the gradients."""

    def after_step(self, loss: Tensor) -> None:
        """See what the step left behind."""

    def pause(self) -> None:
        """Look away: what follows are plain steps."""

    def resume(self) -> None:
        """Look again."""

    def end(self) -> None:
        """Watch no more."""

    @classmethod
    def kind(cls, _step: int) -> str:
        """Return what kind of step it is; steps of one kind cost the same."""
        return "every"

    @classmethod
    def shares(cls) -> dict[str, float]:
        """Return how often each kind is met in a long run."""
        return {"every": 1.0}


class PlainAgain(Arm):
    """The same: how far apart two arms are that do not differ."""

    name = "plain step, again"
    says = "the same code: by how much two equal arms differ"


class PlainElsewhere(PlainAgain):
    """The same in a process without pauses, as those have that cannot pause."""

    name = "plain step, another process"
    says = "the same code, over plain steps of another process, as with arms that cannot pause"
    is_paired = False


class Unvanish(Arm):
    """`unvanish.observe` with a recording on disk."""

    name = "unvanish"
    says = "`unvanish.observe(model, optimizer, file=...)`: every 50th step, everything"
    settings: ClassVar[dict[str, Any]] = {}

    def begin(self) -> None:
        """Begin to watch."""
        self._watch = unvanish.observe(
            self.training.model,
            self.training.optimizer,
            file=self.training.folder / "run.sqlite",
            **self.settings,
        ).start()

    def pause(self) -> None:
        """Take all hooks away; what was read and waits to be written goes on waiting."""
        sampler = self._watch.sampler
        backward.ignore(sampler)
        scaling.ignore(sampler)
        sampler.forward.close()
        for handle in self._watch._handles:
            handle.remove()
        self._watch._handles.clear()
        self._watch.is_running = False

    def resume(self) -> None:
        """Start again."""
        self._watch.start()

    def end(self) -> None:
        """Watch no more, and see that something was seen."""
        self._watch.stop()
        recording = self._watch.recording
        odd = [event.text for event in recording.events if event.kind == "not-measured"]
        if odd or recording.last_step < self.training.step // 4:
            raise RuntimeError(f"the watch failed: {odd}")

    @classmethod
    def kind(cls, step: int) -> str:
        """Return whether a step is sampled, and whether the step before it was."""
        every = cls.settings.get("every", 50)
        kind = "between"
        if is_sampled(step, every):
            kind = "whole sample" if is_whole(step, every) else "light sample"
        follows = step > 0 and is_sampled(step - 1, every) and is_whole(step - 1, every)
        return f"{kind}, after a whole one" if follows else kind

    @classmethod
    def shares(cls) -> dict[str, float]:
        """Return how often each kind is met after the first steps."""
        cycle = math.lcm(cls.settings.get("every", 50), 10)
        kinds = Counter(cls.kind(step) for step in range(100 * cycle, 101 * cycle))
        return {kind: number / cycle for kind, number in kinds.items()}


class EveryParameters(Unvanish):
    """Every step, without what is between the layers."""

    name = "unvanish, every step: parameters"
    says = "`every=1, activations=False`: parameter gradients, weights and updates"
    settings: ClassVar = {"every": 1, "activations": False}


class Everything(Unvanish):
    """Every step, with everything."""

    name = "unvanish, every step: everything"
    says = "`every=1`: activation gradients, saturation and dead units besides"
    settings: ClassVar = {"every": 1}


class ByHand(Arm):
    """The loop that people write themselves."""

    name = "norms by hand, one at a time"
    says = "`{name: p.grad.norm().item() for ...}` and `loss.item()` in every step"
    is_own = False

    def after_backward(self) -> None:
        """Take the norms."""
        self.norms = {
            name: parameter.grad.norm().item()
            for name, parameter in self.training.model.named_parameters()
            if parameter.grad is not None
        }

    def after_step(self, loss: Tensor) -> None:
        """Take the loss."""
        self.loss = loss.item()


class ByHandAtOnce(ByHand):
    """The least that norms of parameter gradients cost."""

    name = "norms by hand, at once"
    says = "`torch._foreach_norm` of all gradients and one transfer, in every step; nothing kept"
    is_own = True

    def after_backward(self) -> None:
        """Take the norms."""
        grads = [p.grad for p in self.training.model.parameters() if p.grad is not None]
        self.norms = dict(
            zip(self.training.names, torch.stack(torch._foreach_norm(grads)).tolist(), strict=True)
        )
