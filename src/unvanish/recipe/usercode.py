"""Run the user's code: on its own path, without its prints on our stdout, errors told short."""

from __future__ import annotations

import contextlib
import shlex
import sys
import traceback
from asyncio import CancelledError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from unvanish.core.errors import (
    PACKAGES,
    CouldNotMeasureError,
    TargetError,
    UnvanishError,
    memory_asked,
)
from unvanish.core.stack import Owner, display_path, owner_of
from unvanish.recipe.suggest import command

Foreign = Any
"""Something the user's code made, of which nothing is known yet."""

_SHOWN_FRAMES = 3
_LONGEST_MESSAGE = 300


@contextmanager
def surroundings(
    folders: Sequence[str] = (), script: str = "", *, keep_stdout: bool = False
) -> Iterator[None]:
    """Give a block the import path, arguments and stdout that the user's code should see.

    Args:
        folders: Added to ``sys.path``, the first one in front and the rest behind, where a
            package's own modules cannot hide those of the standard library; removed
            afterwards.
        script: What ``sys.argv`` holds, so that the user's parser does not read ours.
        keep_stdout: Whether what it prints stays on stdout; else it goes to stderr.

    Yields:
        Nothing.
    """
    argv = sys.argv
    in_front, behind = folders[:1], folders[1:]
    sys.path[:0] = in_front
    sys.path.extend(behind)
    if script:
        sys.argv = [script]
    try:
        with contextlib.nullcontext() if keep_stdout else contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.argv = argv
        for folder in in_front:
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)
        for folder in behind:
            if folder in sys.path:
                del sys.path[len(sys.path) - 1 - sys.path[::-1].index(folder)]


@contextmanager
def reported(
    doing: str,
    *,
    kind: type[UnvanishError] = TargetError,
    help: str = "",
    building: bool = False,
) -> Iterator[None]:
    """Turn whatever the user's code raises into one error that says where in their files.

    Args:
        doing: The subject of the sentence, such as ``"importing train.py"``.
        kind: Class of the error.
        help: What to do about it, where that does not depend on the exception.
        building: Whether the network is being built, so that no batch is to blame for memory.

    Yields:
        Nothing.

    Raises:
        UnvanishError: In place of the user's exception, which stays its cause.
    """
    try:
        yield
    except UnvanishError:
        raise
    except SyntaxError as error:
        place = f"{display_path(error.filename)}:{error.lineno or 1}" if error.filename else ""
        text = (error.text or "").strip()
        raise kind(
            f"{doing} failed, a syntax error: {error.msg}",
            where=f"{place}: {text}" if text and place else place,
            help=help,
        ) from error
    except SystemExit as error:
        raise kind(
            f"{doing} called {exit_call(error)}",
            where=user_frames(error),
            help='put what parses arguments or trains under: if __name__ == "__main__":'
            if doing.startswith("importing ")
            else "raise an error that says what is wrong; nothing may leave Python here",
        ) from error
    except (KeyboardInterrupt, GeneratorExit, CancelledError):
        raise
    except BaseException as error:
        if is_out_of_memory(error):
            raise out_of_memory(doing, error, building=building) from error
        raise kind(
            f"{doing} raised {exception_line(error)}",
            where=user_frames(error),
            help=help or _help_for(error),
        ) from error


def user_frames(error: BaseException) -> str:
    """Return the last frames of the user's own files, innermost first, one a line."""
    counts: dict[str, int] = {}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if owner_of(frame.filename) is Owner.USER and not frame.filename.startswith("<"):
            line = f"{display_path(frame.filename)}:{frame.lineno} in {frame.name}"
            text = f"{line}: {frame.line or ''}".rstrip(": ")
            counts[text] = counts.get(text, 0) + 1
    shown = list(counts.items())[:_SHOWN_FRAMES]
    return "\n".join(f"{text}   ({count} times)" if count > 1 else text for text, count in shown)


def exit_call(error: SystemExit) -> str:
    """Return the call that ends Python, as it was probably written."""
    return "exit()" if error.code is None else f"sys.exit({error.code!r})"


def exception_line(error: BaseException) -> str:
    """Return ``ValueError: what it says``, first line only and not endless."""
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    first = lines[0]
    cut = len(lines) > 1 or len(first) > _LONGEST_MESSAGE
    return f"{type(error).__name__}: {first[:_LONGEST_MESSAGE]}{' …' if cut else ''}"


def is_out_of_memory(error: BaseException | None) -> bool:
    """Tell whether an exception, or one that caused it, is a lack of memory."""
    while error is not None:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return True
        if isinstance(error, RuntimeError) and "can't allocate memory" in str(error):
            return True
        error = error.__cause__
    return False


def out_of_memory(
    doing: str, error: BaseException | None = None, *, building: bool = False
) -> CouldNotMeasureError:
    """Return the error that says what to do when memory ran out.

    Args:
        doing: The subject of the sentence.
        error: What was raised, for what was asked of the memory.
        building: Whether the network was being built.
    """
    asked = memory_asked(str(error)) if error is not None else ""
    if building:
        return CouldNotMeasureError(
            f"building the model ran out of memory: {doing}{asked and ' ' + asked}",
            where=user_frames(error) if error is not None else "",
            help="build a narrower one, or run where there is more memory",
        )
    return CouldNotMeasureError(
        f"{doing} ran out of memory{asked and ': it ' + asked}",
        help="give a smaller batch (16 samples show the same gradient), "
        "or --batches 1 --probe-steps 0, or --device cpu",
    )


def _help_for(error: BaseException) -> str:
    text = str(error)
    if "not compiled with CUDA" in text or "No CUDA GPUs" in text or "NVIDIA driver" in text:
        return (
            "leave .cuda() and .to('cuda') out: unvanish runs where network and batch are, and\n"
            "  --device cuda   moves both, on a machine that has one"
        )
    if "empty parameter list" in text:
        return "give it the parameters of the network: torch.optim.SGD(model.parameters(), lr=0.1)"
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.split(".")[0]
        install = f"{shlex.quote(sys.executable)} -m pip install {PACKAGES.get(package, package)}"
        return f"{install}, or start unvanish in the folder that holds it"
    if isinstance(error, ImportError) and "relative import" in str(error):
        return f"give the dotted name instead: {command('package.module')}"
    return ""
