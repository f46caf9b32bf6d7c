"""What a plug-in must offer. Structural: nobody has to import `unvanish` to comply."""

from __future__ import annotations

from typing import ClassVar, Protocol, runtime_checkable

from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording
from unvanish.core.sources import Source
from unvanish.core.verdicts import Verdict


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
