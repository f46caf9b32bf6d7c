"""`unvanish cure`: make a trial, show it, and write or save what it proves."""

from __future__ import annotations

import contextlib
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from unvanish.cli.check import held_back
from unvanish.cli.guard import told
from unvanish.cli.places import check_file, check_new_folder, check_target, file_of
from unvanish.cli.progress import shown_progress
from unvanish.cli.screen import Screen, complain, emit
from unvanish.cli.streams import stdout_set_aside
from unvanish.core.cures import Cure
from unvanish.core.errors import UnvanishError
from unvanish.core.reports import holds_cure, load_cure, save_cure
from unvanish.curing.report import document_of, exit_code_of, text_of

_INTERRUPTED: Final = 130


@dataclass(frozen=True, kw_only=True)
class CureOptions:
    """The options of `unvanish cure`, named as on the command line."""

    target: str
    data: str = ""
    budget: str = ""
    seeds: int = 5
    remedy: tuple[str, ...] = ()
    keep_architecture: bool = False
    engine: str = "local"
    jobs: int | None = None
    write: bool = False
    save: Path | None = None
    output: Path | None = None
    no_resume: bool = False
    seed: int = 0
    device: str | None = None
    input_shape: tuple[int, ...] | None = None
    classes: int | None = None
    verbose: bool = False


def run_cure(options: CureOptions, screen: Screen, *, as_json: bool) -> int:
    """Make a trial, or open the report of one; show it, and return the exit code."""
    _check_places(options)
    if options.target.endswith(".json") and holds_cure(options.target):
        found, source = _opened(options), options.target
    else:
        found, source = _tried(options, as_json=as_json), ""
    is_interrupted = _was_interrupted(found)
    failures: list[UnvanishError] = []
    if not is_interrupted:
        for apply in (_written, _exported):
            try:
                found = apply(found, options)
            except UnvanishError as error:  # what was found out is told all the same
                failures.append(error)
    if options.output is not None:
        from unvanish.curing.saving import writing

        try:
            with writing(options.output):
                save_cure(found, options.output)
            source = str(options.output)
        except UnvanishError as error:
            failures.append(error)
    code = _INTERRUPTED if is_interrupted else exit_code_of(found)
    _print(found, screen, as_json=as_json, verbose=options.verbose, file=source)
    for failure in failures:
        complain(told(failure))
    return failures[0].exit_code if failures and not is_interrupted else code


def show_cure(path: Path, screen: Screen, *, as_json: bool, verbose: bool) -> int:
    """Show a saved cure, and return the exit code. Needs no torch."""
    found = load_cure(path)
    _print(found, screen, as_json=as_json, verbose=verbose, file=str(path))
    return exit_code_of(found)


def _print(found: Cure, screen: Screen, *, as_json: bool, verbose: bool, file: str) -> None:
    if as_json:
        emit(json.dumps(document_of(found), indent=2, allow_nan=False))
        return
    emit(
        text_of(
            found,
            width=screen.width,
            color=screen.color,
            ascii=screen.ascii,
            verbose=verbose,
            file=file,
        )
    )


def _check_places(options: CureOptions) -> None:
    """Refuse before the work, not after it, what could not be written."""
    if options.write and options.target.startswith("zoo:"):
        raise UnvanishError(
            "a network of the zoo is a part of unvanish and is not written",
            help=f"unvanish cure {options.target} --save cured",
        )
    if options.output is not None:
        check_file(options.output, "--output", target=file_of(options.target))
    if options.save is not None:
        from unvanish.curing.saving import check_folder

        check_new_folder(options.save, "--save")
        check_folder(options.save)
    if options.write:
        check_target(options.target)


def _tried(options: CureOptions, *, as_json: bool) -> Cure:
    """Make the trial; the network's own output goes to stderr, and its warnings to one line."""
    from unvanish.curing import cure

    asked: dict[str, Any] = {
        name: getattr(options, name)
        for name in ("budget", "seeds", "remedy", "keep_architecture", "engine", "jobs")
    }
    with (
        contextlib.chdir(Path.cwd()),  # the network's own code may go elsewhere
        held_back(say=not as_json),
        shown_progress(options.target, quiet=as_json) as progress,
        stdout_set_aside(),
    ):
        return cure(
            options.target,
            data=options.data or None,
            steps=_own_steps(options.target),
            seed=options.seed,
            input_shape=options.input_shape,
            classes=options.classes,
            device=options.device,
            resume=not options.no_resume,
            progress=progress,
            **asked,
        )


def _own_steps(target: str) -> int | None:
    """Return the steps that a patient of the zoo is known to need; None for other targets."""
    if not target.startswith("zoo:"):
        return None
    from unvanish.zoo.patient import patient_of, patients

    name = target.removeprefix("zoo:").partition(":")[0].replace("-", "_")
    return patient_of(name).steps if name in patients() else None


def _opened(options: CureOptions) -> Cure:
    """Open a saved report as the target, which needs no trial and takes no options of one."""
    defaults = CureOptions(target=options.target)
    trial = ("data", "budget", "seeds", "remedy", "keep_architecture")
    changed = [name for name in trial if getattr(options, name) != getattr(defaults, name)]
    if changed:
        option = f"--{changed[0].replace('_', '-')}"
        raise UnvanishError(
            f"{option} is for a trial, and {options.target} is the report of one",
            help=f"unvanish cure {shlex.quote(load_cure(options.target).origin.target)} "
            f"{option} ...   makes another trial",
        )
    return load_cure(options.target)


def _written(found: Cure, options: CureOptions) -> Cure:
    """Write the edit where that was asked for and there is one."""
    if not options.write:
        return found
    is_file = found.patch is not None and bool(found.patch.files)
    if is_file and found.proof is not None:
        from unvanish.curing.writing import written

        with stdout_set_aside():
            return written(found)
    why = found.patch.unsafe if found.patch is not None else "nothing is to be changed"
    complain(f"note: nothing was written: {why or 'nothing is proven'}")
    return found


def _exported(found: Cure, options: CureOptions) -> Cure:
    """Save the cured network where that was asked for and there is one."""
    if options.save is None:
        return found
    from unvanish.curing.saving import REPORT, exported

    with stdout_set_aside():
        found = exported(found, options.save)
    if not found.saved:
        place = options.save / REPORT
        complain(f"note: there is no cured network to save; {place} holds the report")
    return found


def _was_interrupted(found: Cure) -> bool:
    notes = found.proof.notes if found.proof is not None and found.proof.is_partial else ()
    return any(note.startswith("it was interrupted") for note in notes)
