"""`unvanish check`: load the target, check it, write the report."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from unvanish.cli.guard import told
from unvanish.cli.places import check_file, file_of
from unvanish.cli.screen import Screen, complain, emit
from unvanish.cli.streams import stdout_set_aside
from unvanish.core.errors import UnvanishError
from unvanish.core.stack import display_path
from unvanish.show.json import explanation_json

if TYPE_CHECKING:
    from torch import nn

    from unvanish.api import Report

_SMALL_NETWORK: Final = 20_000_000


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """The options of `unvanish check`, named as on the command line."""

    target: str
    fail_on: str = "warning"
    select: tuple[str, ...] = ()
    seed: int = 0
    device: str | None = None
    input_shape: tuple[int, ...] | None = None
    classes: int | None = None
    batches: int = 3
    probe_steps: int = 3
    autocast: str | None = None
    output: Path | None = None
    explain: str = "brief"
    layer: str = ""
    remedies: str = "brief"
    verbose: bool = False


def shape_of(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    """Read ``3,224,224``, or say how a shape is written."""
    if value is None:
        return None
    text = value.strip().strip("()[]").replace("x", ",")
    try:
        sizes = tuple(int(size) for size in text.split(",") if size.strip())
    except ValueError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise click.BadParameter(
            f"{value!r} is no shape; write the sizes of one sample: 3,224,224", ctx, param
        )
    return sizes


def run_check(options: CheckOptions, screen: Screen, *, as_json: bool) -> int:
    """Check a target, write the report, and return the exit code."""
    output = options.output.absolute() if options.output is not None else None
    if options.output is not None:
        check_file(options.output, "--output", target=file_of(options.target))
    with held_back(say=not as_json), spinner(f"checking {options.target}"):
        report = _checked(options)
    failure: UnvanishError | None = None
    if output is not None:
        try:
            report.save(output)
        except OSError as error:
            failure = UnvanishError(
                f"the file cannot be written: {error.strerror}", where=str(options.output)
            )
    code = print_report(
        report,
        screen,
        fail_on=options.fail_on,
        as_json=as_json,
        explain=options.explain,
        layer=options.layer,
        verbose=options.verbose,
    )
    if failure is None:
        return code
    complain(told(failure))
    return failure.exit_code


def print_report(
    report: Report,
    screen: Screen,
    *,
    fail_on: str,
    as_json: bool,
    explain: str = "brief",
    layer: str = "",
    verbose: bool = False,
) -> int:
    """Write a report to stdout and return the exit code."""
    code = report.exit_code(fail_on)
    if as_json:
        document = report.to_json()
        explanation = report.explanation(explain, layer)
        if explanation is not None:
            document["explanation"] = explanation_json(
                explanation, report.recording, full=bool(layer) or explain == "full"
            )
        emit(json.dumps(document, indent=2, allow_nan=False))
    else:
        emit(
            report.text(
                width=screen.width,
                color=screen.color,
                ascii=screen.ascii,
                verbose=verbose,
                exit_code=code,
                explain=explain,
                layer=layer,
            )
        )
    return code


def words(select: Iterable[str]) -> Sequence[str] | None:
    """Split what stands after ``--select``; None if it was not given."""
    chosen = [word.strip() for part in select for word in part.split(",") if word.strip()]
    return chosen or None


def _checked(options: CheckOptions) -> Report:
    from unvanish.api import checkup
    from unvanish.diagnose import all_rules, choose
    from unvanish.recipe import load

    select = words(options.select)
    choose(all_rules().members, select, also=all_rules().broken)  # before the work, not after it
    with stdout_set_aside():
        recipe = load(
            options.target,
            seed=options.seed,
            input_shape=options.input_shape,
            classes=options.classes,
            device=options.device,
        )
        _use_few_threads(recipe.model)
        return checkup(
            recipe,
            seed=options.seed,
            batches=options.batches,
            probe_steps=options.probe_steps,
            autocast=options.autocast or "",
            select=select,
            advise=options.remedies,
        )


def _use_few_threads(model: nn.Module) -> None:
    """Give a small network one thread: on a busy machine several wait for each other.

    Seen once, beside other work on two cores; no benchmark repeats it.
    ``OMP_NUM_THREADS`` is respected.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ and (
        sum(p.numel() for p in model.parameters()) < _SMALL_NETWORK
    ):
        torch.set_num_threads(1)


@contextmanager
def spinner(text: str) -> Iterator[None]:
    """Show that work goes on, where somebody looks at stderr.

    Args:
        text: What goes on.

    Yields:
        Nothing.
    """
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


@contextmanager
def held_back(*, say: bool) -> Iterator[None]:
    """Keep warnings of the checked code out of the report, and say that there were some.

    Args:
        say: Whether to say so.

    Yields:
        Nothing.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    seen = {f"{w.category.__name__}: {w.message}": w for w in caught}
    if seen and say:
        text, first = next(iter(seen.items()))
        held = f"{len(seen)} warnings were held back, the first"
        line = (text.splitlines() or [""])[0]
        place = f"{display_path(first.filename)}:{first.lineno}"
        complain(
            f"note: {held if len(seen) > 1 else '1 warning was held back'}: {line:.160} ({place})"
        )
