"""A cure that can build what it promises."""

from __future__ import annotations

import html
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from unvanish.core.cures import Cure
from unvanish.core.errors import UnvanishError
from unvanish.curing.blueprint import Blueprint
from unvanish.curing.report import document_of, exit_code_of, save, text_of
from unvanish.curing.saving import exported
from unvanish.curing.writing import written
from unvanish.prove.building import DATA_HELP
from unvanish.prove.experiment import Experiment
from unvanish.recipe import Recipe


@dataclass(frozen=True, kw_only=True, repr=False)
class Cured(Cure):
    """A cure that can build what it promises. Printing it gives the terminal text.

    Attributes:
        experiment: What was trained on what; None where nothing could be trained.
        recipe: The network as it was loaded.
    """

    experiment: Experiment | None = field(default=None, compare=False)
    recipe: Recipe = field(compare=False)

    def build(self, seed: int = 0) -> nn.Module:
        """Build the treated network anew, as it is before its training.

        Args:
            seed: Seed of its initial weights.

        Returns:
            The network in training mode; the network as it is where nothing is to be changed.
        """
        return self._blueprint.build(seed)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return an optimiser with the settings that the network was judged with.

        Args:
            model: From `build`, or a copy of such a network.
        """
        return self._blueprint.optimizer(model)

    @property
    def loss(self) -> Callable[..., torch.Tensor]:
        """``loss(output, target)``: what the network was judged with."""
        return self._blueprint.loss

    def batches(self, seed: int = 0) -> Iterator[Any]:
        """Return the training batches without end, in the order of a run of the trial.

        Args:
            seed: Decides the order.
        """
        return self._blueprint.batches(seed)

    def write(self) -> Cured:
        """Write the edit into the source, keep what was there beside it, and check again."""
        return written(self)

    def export(self, folder: str | Path) -> Cured:
        """Save a module that builds the treated network, the edit, and the report.

        Args:
            folder: Where to; it is made, and must not hold anything else.
        """
        return exported(self, folder)

    def save(self, path: str | Path) -> None:
        """Write the report to a file that `unvanish show` opens.

        Args:
            path: File to write; an existing one is replaced.
        """
        save(self, path)

    def to_json(self) -> dict[str, Any]:
        """Return the cure as the documented JSON object."""
        return document_of(self)

    def exit_code(self) -> int:
        """Return what `unvanish cure` exits with."""
        return exit_code_of(self)

    def text(
        self, *, width: int = 80, color: bool = False, ascii: bool = False, verbose: bool = False
    ) -> str:
        """Return the terminal text.

        Args:
            width: Columns.
            color: Whether to write ANSI colours.
            ascii: Whether to write ASCII only.
            verbose: Whether everything that was tried, compared and held fixed is told.

        Returns:
            Lines that end with a newline.
        """
        return text_of(self, width=width, color=color, ascii=ascii, verbose=verbose)

    def __repr__(self) -> str:
        return self.text(width=shutil.get_terminal_size((80, 24)).columns).rstrip("\n")

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text())}</pre>"

    @cached_property
    def _blueprint(self) -> Blueprint:
        if self.experiment is None:
            raise UnvanishError(
                "there is no experiment to build from: " + self.said, help=DATA_HELP
            )
        return Blueprint(
            experiment=self.experiment, remedies=self.remedies, rate_factor=self.rate_factor
        )
