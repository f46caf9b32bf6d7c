"""What a trial begins with: the network as it was loaded, and a look at it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unvanish.core.cures import Origin
from unvanish.core.findings import Diagnosis, Severity
from unvanish.core.loss_terms import named_term
from unvanish.core.records import Recording
from unvanish.curing.loading import reloaded
from unvanish.curing.sources import Sources
from unvanish.diagnose.contracts import NO_LOGARITHMS
from unvanish.diagnose.rules.drowned_term import DrownedTerm
from unvanish.diagnose.rules.output_loss_pair import is_broadcast
from unvanish.recipe import Recipe
from unvanish.treat.balancing import OneTerm
from unvanish.treat.judges import Judge
from unvanish.treat.logarithms import LoggedLoss
from unvanish.treat.matching import MatchedLoss


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the first look found, and what was asked for.

    Attributes:
        origin: What the network was loaded from.
        folder: Working directory at the start; the network's own code may go elsewhere.
        recipe: What was loaded.
        sources: The user's files, as they were read.
        before: A look at the network as it is.
        diagnosis: What the rules say about it.
        data: Batches, or the name of some, in place of the recipe's own.
        names: Remedies that were asked for.
        keep_architecture: Whether remedies that change the architecture are left out.
    """

    origin: Origin
    folder: Path
    recipe: Recipe
    sources: Sources
    before: Recording
    diagnosis: Diagnosis
    data: Iterable[Any] | str | None
    names: tuple[str, ...]
    keep_architecture: bool

    @property
    def judge(self) -> Judge | None:
        """What stands for the loss where networks are compared; None for the loss itself.

        A term that others drown hardly shows in their sum, and a loss that compares every output
        with every target is least where nothing was learnt. One that wants logarithms and is given
        probabilities has another size when it gets what it wants.
        """
        findings = self.diagnosis.findings
        if any(map(is_broadcast, findings)):
            return MatchedLoss(self.recipe.loss)
        if any(finding.unit == NO_LOGARITHMS for finding in findings):
            return LoggedLoss(self.recipe.loss)
        trial = self.before.term_trial
        if trial is None or all(f.code != DrownedTerm.code for f in findings):
            return None
        terms = self.before.terms
        site = self.before.sites[terms[trial.term].site]
        said = named_term(self.before, terms[trial.term])
        return OneTerm(
            loss=self.recipe.loss,
            term=trial.term,
            terms=len(terms),
            name=site.function or site.op,
            said=f"{said}, which other terms of the loss drown",
        )

    @property
    def is_suspect(self) -> bool:
        """Whether something is found at or above a warning."""
        return any(f.severity is not Severity.NOTE for f in self.diagnosis.findings)

    def lags(self, steps: int) -> bool:
        """Tell whether evaluation would show what the network was before training, not after it.

        Args:
            steps: How many steps a run has.
        """
        return any(one.lags_after(steps) for one in self.before.running_statistics)

    def reload(self, seed: int | None = None) -> Recipe:
        """Load the network anew, from the files as they were.

        Args:
            seed: Seed to load it with; None for that of the origin.
        """
        origin = self.origin if seed is None else replace(self.origin, seed=seed)
        with contextlib.chdir(self.folder), self.sources.as_read():
            return reloaded(origin, self.data)

    @property
    def reloads(self) -> Callable[[], Recipe] | None:
        """What loads the network anew; None where it was given in Python."""
        return None if self.origin.is_given else self.reload
