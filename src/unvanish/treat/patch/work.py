"""What a rewriter works on: the network as it was, the treated one, and the files."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from unvanish.core.places import SourceLine
from unvanish.core.prescriptions import Prescription, Receipt
from unvanish.core.records import Recording, Site
from unvanish.treat.anatomy import Anatomy, Layer, activation_name
from unvanish.treat.patch.source import NoSafeEditError, Source


@dataclass(kw_only=True)
class Work:
    """One remedy to write into the source.

    Attributes:
        prescription: What was prescribed.
        receipt: What it changed.
        recording: The network before this remedy.
        anatomy: Its layers.
        first: Those of the network before all remedies, as the source still says them.
        model: The network after all remedies.
        sources: File to what is edited there; shared by the remedies of one patch.
        optimizer: The user's function that makes the optimiser, or the optimiser itself.
        rate_factor: What the learning rate is to be multiplied by, beside the remedies.
    """

    prescription: Prescription
    receipt: Receipt
    recording: Recording
    anatomy: Anatomy
    first: Anatomy
    model: nn.Module
    sources: dict[str, Source] = field(default_factory=dict)
    optimizer: Any = None
    rate_factor: float = 1.0

    def source(self, line: SourceLine | None) -> Source:
        """Open the file of a line.

        Raises:
            NoSafeEditError: If the line is not known, or the file is not the user's.
        """
        if line is None:
            raise NoSafeEditError("the line that made it was not seen")
        return self.open(line.file)

    def open(self, file: str) -> Source:
        """Open a file, once whatever it is called.

        Raises:
            NoSafeEditError: If the file is not the user's.
        """
        known = str(Path(file).resolve())
        if known not in self.sources:
            self.sources[known] = Source.of(file)
        return self.sources[known]

    def sites(self, path: str, name: str) -> tuple[Site, ...]:
        """Return the calls of an activation function at a path."""
        return tuple(
            site
            for site in self.recording.signal_sites()
            if site.path == path and activation_name(site) == name
        )

    def layers(self, paths: Iterable[str]) -> Iterator[Layer]:
        """Yield the layers at some paths, in the order of the network."""
        wanted = set(paths)
        return (layer for layer in self.anatomy.layers if layer.path in wanted)

    def makers(self, site: Site) -> Makers:
        """Return the calls in the source that may have made the module of a site.

        Args:
            site: A step that runs in a module of torch.nn.

        Raises:
            NoSafeEditError: If the line is not known, or the file is not the user's.
        """
        line = site.built or site.source
        source = self.source(line)
        assert line is not None
        name = site.module.removeprefix("Parametrized")
        calls = [
            call
            for call in source.nodes(ast.Call, line.line)
            if source.meaning(call.func) in (f"torch.nn.{name}", f"torch.nn.Lazy{name}")
        ]
        begun = sorted(
            (call for call in calls if call.lineno == line.line), key=lambda call: call.col_offset
        )
        paths = dict.fromkeys(
            one.path
            for one in self.first.recording.signal_sites()
            if same_line(one.built or one.source, line) and one.module == site.module
        )
        if len(begun) > 1 and len(begun) == len(paths) and site.path in paths:
            own = begun[list(paths).index(site.path)]
            return Makers(source, (own,), alone=True, line=line.line)
        return Makers(source, tuple(calls), alone=len(paths) < 2, line=line.line)


@dataclass(frozen=True, slots=True)
class Makers:
    """The calls that may have made a module.

    Attributes:
        source: The file.
        calls: The likeliest first.
        alone: Whether the first makes this module and no other.
        line: The line that made it, or that runs it where it was not seen to be made.
    """

    source: Source
    calls: tuple[ast.Call, ...]
    alone: bool
    line: int


def same_line(one: SourceLine | None, other: SourceLine | None) -> bool:
    """Tell whether two places are one line: a comprehension counts as a function of its own."""
    return (
        one is not None and other is not None and (one.file, one.line) == (other.file, other.line)
    )
