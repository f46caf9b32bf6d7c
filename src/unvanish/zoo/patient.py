"""What is known about a patient of the zoo, and how to find and try one."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from unvanish.core.errors import UnvanishError
from unvanish.core.findings import Cause

_PACKAGE: Final = "unvanish.zoo.patients"


class Half(StrEnum):
    """Which half of the zoo a patient belongs to."""

    DEVELOPMENT = "development"
    """Limits may be set with these in view."""

    RESERVED = "reserved"
    """No limit is ever tuned on these; what is measured on them is an honest estimate."""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What is known about one network, beside its recipe.

    A patient's file is a recipe: ``model()``, ``data(seed)``, ``loss``, ``optimizer``,
    ``metric`` and ``GOAL``. A sick one also has ``cured()``, which builds the network with
    the known cure, or, where the cure is not in the network, ``cured_data``,
    ``cured_loss``, ``cured_optimizer``, ``CURED_CLIP_GRAD_NORM`` or ``CURED_AUTOCAST``.

    Attributes:
        family: Kind of network, such as ``"MLP"`` or ``"transformer"``.
        codes: Codes that must be found, the root first; empty for a healthy network.
        cause: Primary cause of the root; None for a healthy network.
        also: Codes that may be found besides, as consequences. Any other finding at or
            above a warning counts as a false alarm.
        cure: The known cure in one sentence; empty for a healthy network.
        steps: Optimiser steps in which the cured (or healthy) network reaches its goal and
            the sick one does not.
        variants: Arguments of ``model()`` under which the verdict must be the same, such as
            ``{"depth": (20, 40), "width": (32, 128)}``; one is varied at a time.
        source: Where the situation comes from: a paper, a thread, or empty.
    """

    family: str
    codes: tuple[str, ...] = ()
    cause: Cause | None = None
    also: tuple[str, ...] = ()
    cure: str = ""
    steps: int = 300
    variants: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    source: str = ""

    @property
    def is_sick(self) -> bool:
        """Whether something is wrong with this network."""
        return bool(self.codes)


def patients() -> tuple[str, ...]:
    """Return the names of all patients, in alphabetical order."""
    folder = Path(__file__).resolve().parent / "patients"
    return tuple(sorted(p.stem for p in folder.glob("*.py") if not p.stem.startswith("_")))


def module_of(name: str) -> ModuleType:
    """Import a patient's recipe.

    Args:
        name: As `patients` lists it.

    Raises:
        UnvanishError: If there is no such patient.
    """
    if name not in patients():
        raise UnvanishError(f"the zoo has no patient {name!r}", help="unvanish zoo")
    return importlib.import_module(f"{_PACKAGE}.{name}")


def patient_of(name: str) -> Patient:
    """Return what is known about a patient.

    Args:
        name: As `patients` lists it.

    Raises:
        UnvanishError: If there is no such patient.
    """
    patient: Patient = module_of(name).PATIENT
    return patient


def half_of(name: str) -> Half:
    """Tell which half of the zoo a patient belongs to.

    The checksum of the name decides, so that nobody chooses.
    """
    return Half.RESERVED if zlib.crc32(name.encode()) % 2 else Half.DEVELOPMENT
