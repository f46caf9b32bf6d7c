"""Save a cure as a folder: a module that builds the network, the edit, and the report."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from unvanish.core.cures import IN_PYTHON, Cure, Origin
from unvanish.core.errors import UnvanishError
from unvanish.core.packing import plain
from unvanish.core.reports import save_cure
from unvanish.core.stack import Owner, owner_of
from unvanish.curing.blueprint import digest
from unvanish.curing.sources import files_of
from unvanish.recipe.address import parse
from unvanish.show.cure_json import text_of
from unvanish.show.following import command_of, is_stale
from unvanish.treat.patch.encodings import decoded

MODULE: Final = "cured.py"
REPORT: Final = "report.json"
DIFF: Final = "change.diff"
PATCHED: Final = "patched"
_OURS: Final = frozenset({MODULE, REPORT, DIFF, PATCHED, "__pycache__"})
_MARK: Final = "Saved by unvanish"
_LONGEST: Final = 96

C = TypeVar("C", bound=Cure)


def exported(cure: C, folder: str | Path) -> C:
    """Save what builds the treated network to a folder of its own.

    Args:
        cure: What was proven, perhaps loaded from a file.
        folder: Where to; it is made, and must not hold anything else.

    Returns:
        The cure, with the folder.

    Raises:
        UnvanishError: If the folder holds other things or cannot be written, or the network was
            given in Python.
    """
    place = Path(folder)
    check_folder(place)
    buildable = cure.is_changed and cure.proof is not None and not is_stale(cure)
    if buildable and (cure.origin.is_given or cure.origin.data == IN_PYTHON):
        what = cure.origin.target if cure.origin.is_given else "the data of the trial"
        raise UnvanishError(
            f"{what} came from Python, and a file cannot build it again",
            help="cured.save('report.json')   saves the report, cured.build() builds the network",
        )
    if buildable:
        _check_as_tried(cure)
    saved = replace(cure, saved=str(folder) if buildable else "")
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
    with writing(place / REPORT):
        save_cure(saved, place / REPORT)
    if cure.patch is not None:
        with writing(place / DIFF):
            (place / DIFF).write_text(text_of(cure.patch), encoding="utf-8")
    if buildable:
        with writing(place / MODULE):
            (place / MODULE).write_text(_module(cure, place), encoding="utf-8")
    _save_patched(cure, place)
    return saved


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Write a file in a block; what goes wrong is told with its name.

    Args:
        path: The file or folder.

    Yields:
        Nothing.

    Raises:
        UnvanishError: If it cannot be written, for want of space or permission.
    """
    try:
        yield
    except OSError as error:
        what = "folder" if path.is_dir() else "file"
        why = error.strerror or str(error)
        raise UnvanishError(f"the {what} cannot be written: {why}", where=str(path)) from error


def _check_as_tried(cure: Cure) -> None:
    """Refuse files that hold neither what was tried nor what was written."""
    edits = cure.patch.files if cure.patch is not None and not cure.written else ()
    for edit in edits:
        path = Path(edit.path)
        if not path.is_file() or decoded(path) not in {edit.before, edit.after}:
            said = "has changed since" if path.is_file() else "is gone, and was there for"
            raise UnvanishError(
                f"{edit.path} {said} the trial, and what was proven is about the file as it was",
                where=str(path.absolute()),
                help=f"{command_of(cure, '--save', 'cured')}   tries and saves it anew",
            )


def check_folder(place: Path) -> None:
    """Refuse a folder that holds anything but what an earlier cure saved there.

    Args:
        place: The folder; it need not be there.

    Raises:
        UnvanishError: If something would be overwritten, or stand beside other things.
    """
    if not place.exists():
        return
    if not place.is_dir():
        raise UnvanishError(f"{place} is a file, not a folder", help=f"--save {place}_cured")
    others = sorted(path.name for path in place.iterdir() if path.name not in _OURS)
    module = place / MODULE
    if module.is_file() and _MARK not in module.read_text(encoding="utf-8", errors="replace"):
        others = [MODULE, *others]
    if others:
        shown = ", ".join(others[:3]) + (" and more" if len(others) > 3 else "")
        raise UnvanishError(
            f"the folder holds other things: {shown}",
            where=str(place),
            help=f"--save {place / 'cured'}",
        )


def _save_patched(cure: Cure, place: Path) -> None:
    """Write the edited files, for a reader; names that go up or down become flat."""
    if cure.patch is None or not cure.patch.files or not cure.patch.agrees:
        return
    for edit in cure.patch.files:
        path = Path(edit.path)
        inside = not path.is_absolute() and ".." not in path.parts
        copy = place / PATCHED / (path if inside else path.name)
        with writing(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(edit.after.encode("utf-8"))


def _sources(cure: Cure) -> dict[str, str]:
    """Return the user's files that the network is made of, as paths from here, with digests."""
    if cure.origin.target.startswith("zoo:"):
        return {}
    names = {edit.path for edit in cure.patch.files} if cure.patch is not None else set()
    names |= set(files_of(cure.before))
    file = parse(cure.origin.target).file
    paths = [Path(name) for name in names if owner_of(name) is Owner.USER]
    paths += [] if file is None else [file]
    found = {_relative(path, Path.cwd()): path for path in paths if path.is_file()}
    return {name: digest(path) for name, path in sorted(found.items())}


def _relative(path: Path, folder: Path) -> str:
    """Return a path from a folder; as it is where they are on different drives."""
    try:
        return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()


def _origin(origin: Origin) -> str:
    """Return the literal call that makes an origin."""
    given = {
        "target": _portable(origin.target),
        "seed": origin.seed,
        "data": origin.data,
        "input_shape": origin.input_shape,
        "classes": origin.classes,
        "device": origin.device,
        "steps": origin.steps,
    }
    rows = [
        f"    {name}={_literal(value)}," for name, value in given.items() if value or name == "seed"
    ]
    return "\n".join(["Origin(", *rows, ")"])


def _portable(target: str) -> str:
    """Return a target whose file is named from the working directory."""
    address = parse(target)
    if address.file is None:
        return target
    file = _relative(address.file, Path.cwd())
    return f"{file}:{address.name}" if address.name else file


def _module(cure: Cure, place: Path) -> str:
    is_written = bool(cure.written)
    remedies = () if is_written else cure.remedies
    rate = 1.0 if is_written else cure.rate_factor
    names = " + ".join(cure.remedies) or "no remedy"
    versions = cure.before.context.versions
    says = f"{cure.origin.target} with {names}"
    says += f", learning rate x{cure.rate_factor:g}" if cure.rate_factor != 1.0 else ""
    settings: dict[str, Any] = {}
    best = [o for o in (cure.advice.options if cure.advice else ()) if o.remedies == cure.remedies]
    for one in best[0].prescriptions if best else ():
        settings[one.remedy] = plain(one.settings)
    own = (
        "The edit is written in the source, so that nothing is to be applied here."
        if is_written
        else "The source is as it was: build() makes its network and applies the remedies."
    )
    return _TEMPLATE.format(
        says=says.replace("\\", "/").replace('"', "'"),
        verdict=cure.conclusion.value,
        version=versions.get("unvanish", ""),
        mark=_MARK,
        own=own,
        folder=_literal(_relative(Path.cwd(), place)),
        origin=_origin(cure.origin),
        sources=_literal(_sources(cure)),
        remedies=_literal(tuple(remedies)),
        rate=repr(rate),
        settings=_literal(settings),
        rates=repr(_rate_of(cure)),
    )


def _rate_of(cure: Cure) -> float | None:
    answer = cure.proof.answer if cure.proof is not None else None
    rates = [run.learning_rate for run in answer.runs] if answer is not None else []
    return rates[0] if rates and rates[0] == rates[0] else None


def _literal(value: object, indent: int = 0) -> str:
    """Return a value as Python source, text in double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        rows = [f"{_literal(k)}: {_literal(v, indent + 4)}" for k, v in value.items()]
        flat, brackets = ", ".join(rows), "{}"
    elif isinstance(value, tuple):
        rows = [_literal(item, indent + 4) for item in value]
        flat, brackets = ", ".join(rows) + ("," if len(rows) == 1 else ""), "()"
    else:
        return repr(value)
    if len(flat) + indent + 2 <= _LONGEST - 20:
        return f"{brackets[0]}{flat}{brackets[1]}"
    pad = " " * (indent + 4)
    inner = "".join(f"{pad}{row},\n" for row in rows)
    return f"{brackets[0]}\n{inner}{' ' * indent}{brackets[1]}"


_TEMPLATE: Final = '''"""{says}: {verdict}.

    from cured import build, optimizer, loss

    model = build(seed=0)
    stepper = optimizer(model)
    for inputs, target in batches():
        stepper.zero_grad()
        loss(model(inputs), target).backward()
        stepper.step()

{own}
{mark} {version}; report.json tells what was tried, `unvanish show report.json` prints it.
"""

from pathlib import Path

from unvanish.core.cures import Origin
from unvanish.curing import rebuilt

HERE = Path(__file__).resolve().parent

FOLDER = HERE / {folder}
"""Working directory that the network and its data are named from."""

ORIGIN = {origin}
"""What the network is loaded from."""

SOURCES = {sources}
"""Files, and the SHA-256 that each had when the network was treated."""

REMEDIES = {remedies}
"""What is applied to it, in this order; `unvanish explain NAME` describes each."""

RATE_FACTOR = {rate}
"""What the learning rates are multiplied by."""

LEARNING_RATE = {rates}
"""Largest learning rate that the treated network was trained with, for the reader."""

SETTINGS = {settings}
"""What each remedy decided on the network that was tested, for the reader."""

_BLUEPRINT = rebuilt(ORIGIN, REMEDIES, RATE_FACTOR, folder=FOLDER, sources=SOURCES)

AUTOCAST = _BLUEPRINT.autocast
CLIP_GRAD_NORM = _BLUEPRINT.clip_grad_norm


def build(seed=0):
    """Build the treated network anew, as it is before its training."""
    return _BLUEPRINT.build(seed)


def optimizer(model):
    """Return the optimiser of a network that `build` made."""
    return _BLUEPRINT.optimizer(model)


def loss(output, target=None):
    """Return what is minimised."""
    return _BLUEPRINT.loss(output, target)


def batches(seed=0):
    """Return the training batches of the trial, without end."""
    return _BLUEPRINT.batches(seed)
'''
