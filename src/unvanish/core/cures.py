"""What `unvanish cure` comes back with, as plain data: a saved one opens without torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from unvanish.core.patches import Patch
from unvanish.core.prescriptions import Advice, Receipt
from unvanish.core.proofs import Conclusion, Proof
from unvanish.core.records import Recording

IN_PYTHON: Final = "(in Python)"
"""What stands for data that were given as batches rather than by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a network was loaded from, to load it again.

    Attributes:
        target: ``file.py[:name]``, ``package.module[:name]`` or ``zoo:NAME``; the class of the
            network where it was given in Python.
        seed: Seed of the check and of the frozen data.
        data: What ``--data`` said; empty for the target's own, `IN_PYTHON` for batches.
        input_shape: What ``--input-shape`` said; empty for none.
        classes: What ``--classes`` said; 0 for nothing.
        device: What ``--device`` said; empty for nothing.
        steps: Steps that data were drawn for; 0 where none were.
        is_given: Whether it was given in Python, and cannot be loaded again.
        options: What else the command line said that the result depends on, word by word.
    """

    target: str
    seed: int = 0
    data: str = ""
    input_shape: tuple[int, ...] = ()
    classes: int = 0
    device: str = ""
    steps: int = 0
    is_given: bool = False
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cure:
    """A network, what ails it, what was tried, what holds, and the edit of its source.

    Attributes:
        origin: What the network was loaded from.
        conclusion: What it comes to.
        said: The conclusion in a sentence or two.
        before: A look at the network as it is.
        advice: What was tried on a copy before any training.
        proof: The trial; None where there was none, and `said` has the reason.
        remedies: What cures, in the order in which it is applied; empty for nothing.
        rate_factor: What the learning rate is multiplied by, besides.
        receipts: What the remedies change.
        after: A look at the treated network before its training; None where none was treated.
        patch: The edit of the source; None where nothing is to be changed.
        written: Files that were written.
        backups: Copies of these as they were.
        rechecked: A look at the written files' network; None where none was written.
        warnings: What the user should know about the files that were written.
        saved: Folder that the treated network was saved to; empty for none.
        left: What is left to the user, one sentence each.
        seconds: Wall time of everything.
    """

    origin: Origin
    conclusion: Conclusion
    said: str
    before: Recording
    advice: Advice | None = None
    proof: Proof | None = None
    remedies: tuple[str, ...] = ()
    rate_factor: float = 1.0
    receipts: tuple[Receipt, ...] = ()
    after: Recording | None = None
    patch: Patch | None = None
    written: tuple[str, ...] = ()
    backups: tuple[str, ...] = ()
    rechecked: Recording | None = None
    warnings: tuple[str, ...] = ()
    saved: str = ""
    left: tuple[str, ...] = ()
    seconds: float = field(default=0.0)

    @property
    def is_changed(self) -> bool:
        """Whether something is to be done."""
        return bool(self.remedies) or self.rate_factor != 1.0
