"""What a plug-in must offer. Structural: nobody has to import `unvanish` to comply."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from unvanish.core.explanations import Explanation
from unvanish.core.glossary import LayerQuantity, Quantity, StepQuantity
from unvanish.core.interventions import Intervention, Question
from unvanish.core.records import Recording
from unvanish.core.runs import RunRecording
from unvanish.core.sources import Source
from unvanish.core.verdicts import NotApplicable, Verdict


@runtime_checkable
class Rule(Protocol):
    """Turns a recording into one of four verdicts.

    The class docstring is the rule's page (`unvanish explain CODE`) and carries the
    headings that `unvanish.testing.check_rule` asks for.

    Attributes:
        code: ``UV`` and three digits; third parties use their own prefix. Never reused.
        name: The field's term in kebab case, such as ``"vanishing-gradient"``.
        needs: Quantities without which the rule answers NotMeasured.
        sources: Where the limit comes from.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    needs: ClassVar[frozenset[Quantity]]
    sources: ClassVar[tuple[Source, ...]]

    def examine(self, recording: Recording) -> Verdict:
        """Judge one recording. Must not raise on any recording that the codec can load."""
        ...


@runtime_checkable
class RunRule(Protocol):
    """Turns a watched training run into one of four verdicts.

    The class docstring is the rule's page (`unvanish explain CODE`) and carries the
    headings that `unvanish.testing.check_run_rule` asks for.

    Attributes:
        code: ``UV`` and three digits; third parties use their own prefix. Never reused.
        name: The field's term in kebab case, such as ``"dying-units"``.
        needs: Quantities without which the rule answers NotMeasured.
        sources: Where the limit comes from.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    needs: ClassVar[frozenset[LayerQuantity | StepQuantity]]
    sources: ClassVar[tuple[Source, ...]]

    def examine(self, run: RunRecording) -> Verdict:
        """Judge one run, as far as it is. Must not raise on any run that can be read."""
        ...


@runtime_checkable
class Mechanism(Protocol):
    """One explanation of a lost gradient: what to swap, and what to expect of the swap.

    The class docstring is the mechanism's page: what it predicts, and how its prediction
    differs from those of its rivals.

    Attributes:
        name: In kebab case, such as ``"slope-cap"``.
        bypasses: Whether its swap leads around the fault, whatever it is, rather than take one
            factor out.
    """

    name: ClassVar[str]
    bypasses: ClassVar[bool]

    def proposes(
        self, recording: Recording, question: Question
    ) -> tuple[Intervention, ...] | NotApplicable:
        """Return what to swap, at least one thing, or why there is nothing to swap."""
        ...

    def predicts(
        self, recording: Recording, explanation: Explanation, intervention: Intervention
    ) -> float:
        """Return the decades that the ledger says come back; ``nan`` for no prediction."""
        ...
