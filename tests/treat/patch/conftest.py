"""A script that is written to a folder of its own, treated, and edited."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from unvanish.core.patches import Patch, Safety
from unvanish.recipe import Recipe, load
from unvanish.treat.patch import patch
from unvanish.treat.treatment import treat


@dataclass(frozen=True, kw_only=True)
class Edited:
    """What came of a script.

    Attributes:
        before: Its text.
        patch: What is to be written.
    """

    before: str
    patch: Patch

    @property
    def after(self) -> str:
        """The edited text."""
        assert self.patch.files, self.patch.unsafe
        assert self.patch.agrees
        return self.patch.files[0].after

    @property
    def diff(self) -> list[str]:
        """The lines that go and those that come, with their sign."""
        ast.parse(self.after)
        lines = self.patch.files[0].diff(context=0)
        return [x for x in lines if x[0] in "+-" and x[:3] not in ("+++", "---")]

    @property
    def unsafe(self) -> str:
        """Why it is not edited."""
        assert not self.patch.files, "\n".join(self.diff)
        assert self.patch.snippet
        return self.patch.unsafe

    @property
    def safety(self) -> Safety:
        """What it asks of a trained network."""
        return self.patch.safety


Editor = Callable[..., Edited]


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Editor:
    """Return what treats a script with some remedies and writes the treatment into it."""
    monkeypatch.chdir(tmp_path)

    def made(text: str, *remedies: str, rate_factor: float = 1.0) -> Edited:
        (tmp_path / "net.py").write_bytes(text.encode())

        def reload() -> Recipe:
            return load("net.py", seed=0)

        recipe = reload()
        with recipe.running():
            treated = treat(
                recipe.model,
                list(remedies),
                recipe.batch,
                recipe.loss,
                optimizer=recipe.optimizer,
                autocast=recipe.autocast,
                clip_grad_norm=recipe.clip_grad_norm,
                built=recipe.built,
            )
            found = patch(treated, reload, optimizer=recipe.optimizer, rate_factor=rate_factor)
        return Edited(before=text, patch=found)

    return made
