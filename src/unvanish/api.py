"""The verbs chained: from a network to a report in one call.

Torch is imported by the verbs and not by the module: a saved report opens without it.
"""

from __future__ import annotations

import copy
import gc
import html
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from unvanish.core import codec
from unvanish.core.counterfactuals import Counterfactual, Proposal, answered
from unvanish.core.errors import UnvanishError
from unvanish.core.explanations import Explanation
from unvanish.core.findings import Diagnosis, Finding, Severity
from unvanish.core.packing import plain
from unvanish.core.prescriptions import Advice, Outlook
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotMeasured
from unvanish.diagnose import diagnose
from unvanish.explain import explain as explain_recording
from unvanish.explain import explained_finding, propose, question_of
from unvanish.show.json import to_json
from unvanish.show.notebook import ledger_html
from unvanish.show.terminal import render
from unvanish.show.tree import render_ledger

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

    from unvanish.recipe import Recipe

_BRIEF: Final = 2
"""How many remedies of each kind a brief advice tries."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DrawnExplanation(Explanation):
    """An explanation that knows what it was made from. Printing it gives the tree as text.

    Attributes:
        recording: What was measured, for the source lines.
    """

    recording: Recording = field(compare=False)

    def text(
        self,
        *,
        width: int = 80,
        color: bool = False,
        ascii: bool = False,
        verbose: bool = False,
    ) -> str:
        """Return every factor's total and the tree, as text.

        Args:
            width: Columns.
            color: Whether to write ANSI colours.
            ascii: Whether to write ASCII only.
            verbose: Whether every one of equal blocks is written, rather than one of them.

        Returns:
            Lines that end with a newline.
        """
        return render_ledger(
            self, self.recording, width=width, color=color, ascii=ascii, verbose=verbose
        )

    def __repr__(self) -> str:
        return self.text(width=shutil.get_terminal_size((80, 24)).columns).rstrip("\n")

    def _repr_html_(self) -> str:
        return ledger_html(self, self.recording)


def explain(
    recording: Recording, diagnosis: Diagnosis | None = None, *, target: str | int | None = None
) -> DrawnExplanation:
    """Return the ledger of the gradient that a diagnosis is worried about, or of a layer.

    It runs from the loss to the first place that the finding about a vanishing or exploding
    gradient names; without one, to that of another finding, or to the first layer. A notebook
    draws it as a tree that opens and closes.

    Args:
        recording: What was observed.
        diagnosis: What the rules said about it; None for the first layer.
        target: Path of a module, such as ``"layers.3"``, to explain that instead.

    Returns:
        The tree of terms. They add up to what was measured.

    Raises:
        UnvanishError: If no gradient was measured there, or anywhere.
    """
    if not isinstance(recording, Recording):
        raise UnvanishError(
            f"explain takes a recording, not {type(recording).__name__}",
            help="unvanish.explain(report.recording, report.diagnosis), or report.explain()",
        )
    found = explain_recording(recording, diagnosis, target=target)
    known = {each.name: getattr(found, each.name) for each in fields(found)}
    return DrawnExplanation(**known, recording=recording)


@dataclass(frozen=True)
class Report:
    """Everything one check found out. Printing it gives the terminal text.

    Attributes:
        target: What was checked, as it was named.
        recording: What was measured.
        diagnosis: What the rules said about it.
        advice: What could be done, tried on a copy; None where that was not asked for, or
            nothing is wrong.
    """

    target: str
    recording: Recording
    diagnosis: Diagnosis
    advice: Advice | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, worst first."""
        return self.diagnosis.findings

    @property
    def worst(self) -> str:
        """``error``, ``warning``, ``note``, ``clear`` or ``not-measured``."""
        return self.diagnosis.worst

    def exit_code(self, fail_on: Severity | str = Severity.WARNING) -> int:
        """Return what `unvanish check` exits with.

        Args:
            fail_on: The mildest severity that counts as a failure.

        Returns:
            1 with a finding at or above `fail_on`; else 3 where a rule that applies could
            not be judged, since silence is not health; else 0.
        """
        limit = Severity(fail_on).rank
        if any(finding.severity.rank >= limit for finding in self.findings):
            return 1
        verdicts = self.diagnosis.verdicts.values()
        return 3 if not verdicts or any(isinstance(v, NotMeasured) for v in verdicts) else 0

    def explain(self, target: str | int | None = None) -> DrawnExplanation:
        """Return the ledger of the gradient this report is worried about; see `explain`.

        Args:
            target: Path of a module to explain instead.
        """
        return explain(self.recording, self.diagnosis, target=target)

    def explanation(self, explain: str = "brief", layer: str = "") -> DrawnExplanation | None:
        """Return the ledger as far as it is asked for.

        Args:
            explain: ``"brief"`` where a finding says how many decades were lost or gained,
                ``"full"`` wherever a gradient was measured, ``"none"`` for none.
            layer: Path of a module to explain, whatever the findings say.

        Returns:
            The ledger; None where there is nothing to explain.

        Raises:
            UnvanishError: If no gradient was measured at the layer.
        """
        if layer:
            return self.explain(layer)
        if explain == "none" or (explain == "brief" and explained_finding(self.diagnosis) is None):
            return None
        try:
            return self.explain()
        except UnvanishError:
            return None

    def to_json(self) -> dict[str, Any]:
        """Return the report as the documented JSON object."""
        document = to_json(self.recording, self.diagnosis, target=self.target)
        if self.advice is not None:
            document["advice"] = plain(self.advice)
        return document

    def save(self, path: str | Path) -> None:
        """Write the recording and its target to a file that `unvanish show` opens.

        Args:
            path: File to write; an existing one is replaced.
        """
        document = {**codec.encode_recording(self.recording), "target": self.target}
        Path(path).write_text(codec.to_text(document) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path, *, select: Sequence[str] | None = None) -> Report:
        """Open a saved report and judge its recording anew. Needs no torch.

        Args:
            path: A file that `save` wrote, or a saved recording.
            select: Codes, names or beginnings of codes of the rules to run; None for all.

        Returns:
            The report.
        """
        recording = codec.load(path)
        document = codec.from_text(Path(path).read_text(encoding="utf-8"))
        target = document.get("target", Path(path).name)
        return cls(str(target), recording, diagnose(recording, select=select))

    def text(
        self,
        *,
        width: int = 80,
        color: bool = False,
        ascii: bool = False,
        verbose: bool = False,
        exit_code: int | None = None,
        explain: str = "brief",
        layer: str = "",
    ) -> str:
        """Return the terminal text.

        Args:
            width: Columns.
            color: Whether to write ANSI colours.
            ascii: Whether to write ASCII only.
            verbose: Whether every rule that found nothing says what it measured.
            exit_code: Exit code to tell in the last line; None to leave it out.
            explain: ``"brief"`` for the ledger in a few lines under a finding about the flow of
                the gradient, ``"full"`` for the whole tree too, ``"none"`` for neither.
            layer: Path of a module whose whole tree to write instead.

        Returns:
            Lines that end with a newline.
        """
        return render(
            self.recording,
            self.diagnosis,
            target=self.target,
            width=width,
            color=color,
            ascii=ascii,
            verbose=verbose,
            exit_code=exit_code,
            explanation=self.explanation(explain, layer),
            whole_ledger=bool(layer) or explain == "full",
            advice=self.advice,
        )

    def __repr__(self) -> str:
        return self.text(width=shutil.get_terminal_size((80, 24)).columns).rstrip("\n")

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text())}</pre>"


def checkup(
    model: nn.Module | Recipe | str | Path,
    batch: object = None,
    *,
    loss: Callable[..., Any] | str | None = None,
    optimizer: Optimizer | Callable[..., Any] | None = None,
    data: Iterable[Any] | None = None,
    seed: int = 0,
    batches: int = 3,
    probe_steps: int = 3,
    autocast: str = "",
    clip_grad_norm: float | None = None,
    device: str | None = None,
    select: Sequence[str] | None = None,
    advise: str = "none",
) -> Report:
    """Look at one batch of a network and say where its gradient is lost, and why.

    What is not given is taken from the target's recipe, or inferred and said in the report.

    Args:
        model: The network; or a TARGET such as ``"train.py:Net"``; or a loaded recipe. A
            network is left as it is, bit for bit, and where it is.
        batch: ``(inputs, target)``, a dict of keyword arguments, or the inputs alone.
        loss: ``loss(output, target)`` or a name such as ``"cross_entropy"``.
        optimizer: The optimiser, or ``optimizer(model)`` which makes it.
        data: Further batches; the first one stands in for a missing `batch`.
        seed: Seeds everything random during the check.
        batches: Number of batches to look at, at least 1.
        probe_steps: Optimiser steps on a copy before the second look; 0 for none.
        autocast: ``"bfloat16"`` or ``"float16"`` for an autocast region; ``""`` for none.
        clip_grad_norm: Largest gradient norm that training allows.
        device: Where to build a TARGET.
        select: Codes, names or beginnings of codes of the rules to run; None for all.
        advise: ``"brief"`` to try a few remedies of every kind on a copy where something is
            wrong, ``"full"`` to try all that fit, ``"none"`` for none.

    Returns:
        The report.

    Raises:
        UnvanishError: On anything that keeps the check from being made.
    """
    from unvanish.observe import trace
    from unvanish.recipe import Batches, is_out_of_memory, out_of_memory, seeded

    if device is not None and not isinstance(model, str | Path):
        raise UnvanishError(
            "device is for a TARGET; a network given in Python is checked where it is",
            help=f"unvanish.checkup(model.to({device!r}), ...)",
        )
    if batch is None and data is not None:
        with seeded(seed):
            drawn = Batches(data, origin="data")
            batch, data = drawn.first, drawn.after_first()
    recipe = _recipe_of(model, batch, seed, device)
    with recipe.running():
        try:
            recording = trace(
                recipe.model,
                recipe.batch,
                loss if loss is not None else recipe.loss,
                optimizer=optimizer if optimizer is not None else recipe.optimizer,
                data=data if data is not None else recipe.further,
                batches=batches,
                probe_steps=probe_steps,
                seed=seed,
                autocast=autocast or recipe.autocast,
                clip_grad_norm=clip_grad_norm
                if clip_grad_norm is not None
                else recipe.clip_grad_norm,
                built=recipe.built,
            )
            with _undisturbed():
                diagnosis = diagnose(recording, select=select)
                tested = _put_to_the_test(recording, diagnosis, recipe, loss)
                advice = _advised(
                    recording,
                    diagnosis,
                    recipe,
                    loss,
                    optimizer,
                    seed,
                    advise,
                    data if data is not None else recipe.further,
                )
        except UnvanishError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise out_of_memory("the check", error) from error
            raise
    inferred = (*recipe.inferred, *recording.context.inferred)
    context = replace(recording.context, inferred=inferred)
    recording = replace(recording, context=context, counterfactuals=tested)
    return Report(recipe.target, recording, diagnosis, advice)


def _advised(
    recording: Recording,
    diagnosis: Diagnosis,
    recipe: Recipe,
    loss: Callable[..., Any] | str | None,
    optimizer: Optimizer | Callable[..., Any] | None,
    seed: int,
    advise: str,
    data: Iterable[Any] | None,
) -> Advice | None:
    """Try remedies on a copy, where something is wrong and it was asked for."""
    if advise == "none" or all(f.severity is Severity.NOTE for f in diagnosis.findings):
        return None
    from unvanish.treat import prescribe

    try:
        return prescribe(
            recipe.model,
            diagnosis,
            recipe.batch,
            loss if loss is not None else recipe.loss,
            optimizer=optimizer if optimizer is not None else recipe.optimizer,
            recording=recording,
            breadth=_BRIEF if advise == "brief" else None,
            seed=seed,
            built=recipe.built,
            data=data,
        )
    except UnvanishError as error:
        return Advice(before=Outlook(), nothing=f"no remedy could be tried: {error.what}")


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Run a block without the collection of cyclic garbage.

    The graphs and ledgers of a deep network are hundreds of thousands of small objects without
    a cycle among them. That many new ones make Python search the whole heap again and again.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _put_to_the_test(
    recording: Recording,
    diagnosis: Diagnosis,
    recipe: Recipe,
    loss: Callable[..., Any] | str | None,
) -> tuple[Counterfactual, ...]:
    """Swap what the rival explanations of a finding name, one by one, and measure again.

    Nothing is run where no finding is about the flow of the gradient.
    """
    question = question_of(recording, diagnosis)
    if question is None:
        return ()
    from unvanish.observe.interventions import intervene

    proposals = propose(recording, question)
    wanted = [one for one in proposals if one.intervention is not None]
    # The most telling first, as the last ones are left out where there are too many.
    order = sorted(range(len(wanted)), key=lambda i: _telling(wanted[i]), reverse=True)
    measured = intervene(
        recipe.model,
        recipe.batch,
        [swap for i in order if (swap := wanted[i].intervention) is not None],
        question,
        recording=recording,
        loss=loss if loss is not None else recipe.loss,
    )
    found = dict(zip(order, measured, strict=True))
    return answered(proposals, [found[i] for i in range(len(wanted))])


def _telling(proposal: Proposal) -> float:
    """Return the decades that a swap is said to move; one that predicts none comes last."""
    predicted = abs(proposal.counterfactual.predicted)
    return -1.0 if math.isnan(predicted) else predicted


def _recipe_of(
    model: nn.Module | Recipe | str | Path, batch: object, seed: int, device: str | None
) -> Recipe:
    from torch import nn

    from unvanish.recipe import Recipe, invent_batch, load, seeded

    if isinstance(model, Recipe):
        return model if batch is None else replace(model, batch=batch)
    if isinstance(model, str | Path):
        return load(str(model), seed=seed, device=device, batch=batch)
    if not isinstance(model, nn.Module):
        raise UnvanishError(
            f"the model is {type(model).__name__}, not an nn.Module and no TARGET",
            help="unvanish.checkup(model, (inputs, target))",
        )
    inferred: tuple[str, ...] = ()
    if batch is None:
        with seeded(seed):
            invented = invent_batch(model)
        batch, inferred = invented.batch, invented.inferred
    return Recipe(
        target=type(model).__name__,
        seed=seed,
        model=model,
        batch=batch,
        inferred=inferred,
        built={},
        make=lambda _: copy.deepcopy(model),
    )
