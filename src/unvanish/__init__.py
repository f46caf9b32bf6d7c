"""Find where a neural network's gradient dies, why, and what repairs it.

>>> import unvanish
>>> report = unvanish.checkup(model, batch)  # doctest: +SKIP
>>> print(report)  # doctest: +SKIP

The names below are loaded when they are first used, so that ``import unvanish`` costs
nothing and a saved recording opens without torch.
"""

from __future__ import annotations

import importlib
import random
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from unvanish.api import Report, checkup, explain
    from unvanish.core.errors import UnvanishError
    from unvanish.core.explanations import Explanation
    from unvanish.core.findings import Cause, Diagnosis, Finding, Severity
    from unvanish.core.glossary import Quantity
    from unvanish.core.records import Recording
    from unvanish.curing import Cured, cure
    from unvanish.diagnose import diagnose
    from unvanish.fixing import fix
    from unvanish.learn import learn
    from unvanish.observe import trace
    from unvanish.observe.jacobian import jacobian
    from unvanish.treat import prescribe, treat
    from unvanish.watch import observe

__all__ = [
    "Cause",
    "Cured",
    "Diagnosis",
    "Explanation",
    "Finding",
    "Quantity",
    "Recording",
    "Report",
    "Severity",
    "UnvanishError",
    "__version__",
    "checkup",
    "cure",
    "diagnose",
    "explain",
    "fix",
    "jacobian",
    "learn",
    "observe",
    "prescribe",
    "trace",
    "treat",
]

_HOMES = {
    "Cause": "unvanish.core.findings",
    "Cured": "unvanish.curing",
    "Diagnosis": "unvanish.core.findings",
    "Explanation": "unvanish.core.explanations",
    "Finding": "unvanish.core.findings",
    "Quantity": "unvanish.core.glossary",
    "Recording": "unvanish.core.records",
    "Report": "unvanish.api",
    "Severity": "unvanish.core.findings",
    "UnvanishError": "unvanish.core.errors",
    "checkup": "unvanish.api",
    "cure": "unvanish.curing",
    "diagnose": "unvanish.diagnose",
    "explain": "unvanish.api",
    "fix": "unvanish.fixing",
    "jacobian": "unvanish.observe.jacobian",
    "learn": "unvanish.learn",
    "observe": "unvanish.watch",
    "prescribe": "unvanish.treat",
    "trace": "unvanish.observe",
    "treat": "unvanish.treat",
}


class _Facade(ModuleType):
    """Keeps a verb callable where the package of its stage has the same name.

    Importing ``unvanish.diagnose`` makes Python bind the package to that attribute of
    ``unvanish``, and ``unvanish.diagnose(recording)`` would call a module.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Facade


if not TYPE_CHECKING:  # else a type checker would take every misspelt name for a public one

    def __getattr__(name: str) -> object:
        """Load a public name from its home and keep it."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        state = random.getstate()  # some library draws a number while it is imported
        try:
            value = getattr(importlib.import_module(_HOMES[name]), name)
        finally:
            random.setstate(state)
        globals()[name] = value
        return value


def load_ipython_extension(shell: Any) -> None:
    """Give a notebook the cell magic ``%%unvanish_watch``; called by ``%load_ext unvanish``.

    Args:
        shell: The notebook's `IPython.core.interactiveshell.InteractiveShell`.
    """
    importlib.import_module("unvanish.watch.notebook").register(shell)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
