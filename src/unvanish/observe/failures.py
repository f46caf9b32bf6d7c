"""Turn an exception into one clear message: the user's code raised it, or ours did."""

from __future__ import annotations

import re
import sys
import traceback
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from unvanish.core.errors import (
    BatchError,
    CouldNotMeasureError,
    OwnFaultError,
    UnvanishError,
    memory_asked,
)
from unvanish.core.operations import MATMUL_OPS, shape_of
from unvanish.core.stack import Owner, display_path, owner_of

if TYPE_CHECKING:
    from unvanish.observe.forward import Failure, ForwardTape
    from unvanish.observe.graph import Graph

_SHOWN_FRAMES: Final = 3
_ONCE: Final = "run model(inputs) once by itself with this batch"
_GIVEN: Final = re.compile(r"must be Tensor, not (\w+)")
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception means that a device ran out of memory."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error) for w in _OUT_OF_MEMORY)


def out_of_memory(error: BaseException) -> CouldNotMeasureError:
    """Return the message for a device that ran out of memory."""
    asked = memory_asked(str(error))
    return CouldNotMeasureError(
        f"the probe ran out of memory{asked and ': it ' + asked}",
        where=_user_frames(error),
        help="use a smaller batch, fewer probe batches (--batches 1) or --probe-steps 0",
    )


@contextmanager
def explained(tape: ForwardTape) -> Iterator[None]:
    """Translate whatever the user's code raises inside a forward pass.

    Raises:
        BatchError: With the layer, the operation and the shapes that did not fit.
        CouldNotMeasureError: If memory ran out.
        OwnFaultError: If the user's code ran well, and ours that watched it did not.
    """
    with _translated(lambda error: _explain_forward(error, tape)):
        yield
    if tape.fault is not None:
        if is_out_of_memory(tape.fault):
            raise out_of_memory(tape.fault) from None
        raise _not_supported(tape.fault) or own_fault(tape.fault) from tape.fault


@contextmanager
def forward_explained() -> Iterator[None]:
    """Translate what a forward pass raises that nobody watches.

    Raises:
        BatchError: With the user's lines.
        CouldNotMeasureError: If memory ran out.
    """
    with _translated(_explain_call):
        yield


@contextmanager
def own_faults_told() -> Iterator[None]:
    """Say of an exception that our own code raised that it is ours.

    Raises:
        OwnFaultError: In its place. What the user's code raised passes.
    """
    try:
        yield
    except UnvanishError:
        raise
    except Exception as error:
        if is_out_of_memory(error) or not _is_ours(error):
            raise
        raise _not_supported(error) or own_fault(error) from error


def own_fault(error: Exception) -> OwnFaultError:
    """Return the message for a fault of ours: what failed where, and what to send."""
    from unvanish import __version__

    frames = traceback.extract_tb(error.__traceback__)
    ours = (frame for frame in reversed(frames) if owner_of(frame.filename) is Owner.OURS)
    last = next(ours, None)
    python = ".".join(map(str, sys.version_info[:3]))
    return OwnFaultError(
        f"unvanish itself failed, please report it: {type(error).__name__}: {first_line(error)}",
        where=f"unvanish: {Path(last.filename).name}:{last.lineno} in {last.name}" if last else "",
        help="your network is as it was before; send these lines and the traceback "
        f"(UNVANISH_TRACEBACK=1 shows it), made with unvanish {__version__}, "
        f"torch {torch.__version__}, python {python}",
    )


def _not_supported(error: BaseException) -> CouldNotMeasureError | None:
    """Say which kind of tensor our own code cannot read; None for other faults of it."""
    if not re.search(r"Nested ?(?:Tensor|Int)|nested tensor", str(error)):
        return None
    return CouldNotMeasureError(
        "the network works on nested tensors, which unvanish cannot measure",
        help="look at it on padded ones: torch.nested.to_padded_tensor(x, 0.0), with a mask, or "
        "on a batch of one length: torch.stack(samples)",
    )


def _is_ours(error: BaseException) -> bool:
    """Tell whether the innermost line of a traceback is ours, torch's and libraries' aside."""
    frames = traceback.extract_tb(error.__traceback__)
    owners = (owner_of(frame.filename) for frame in reversed(frames))
    known = (owner for owner in owners if owner in (Owner.USER, Owner.OURS))
    return next(known, None) is Owner.OURS


@contextmanager
def backward_explained(graph: Graph) -> Iterator[None]:
    """Translate what a backward pass raises.

    Args:
        graph: What it runs through.

    Raises:
        BatchError: If the user's graph cannot be differentiated.
        CouldNotMeasureError: If memory ran out.
        OwnFaultError: If the backward pass ran well, and ours that watched it did not.
    """
    with _translated(lambda error: _explain_backward(error, graph)):
        try:
            yield
        except Exception as error:
            if is_out_of_memory(error) or not _is_ours(error) or _left_the_engine(error):
                raise
            raise _not_supported(error) or own_fault(error) from error


def _left_the_engine(error: BaseException) -> bool:
    """Tell whether an exception came out of PyTorch's own backward pass."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(Path(frame.filename).parts[-3:-1] == ("torch", "autograd") for frame in frames)


@contextmanager
def _translated(explain: Callable[[BaseException], BatchError]) -> Iterator[None]:
    try:
        yield
    except UnvanishError:
        raise
    except SystemExit as error:
        call = "exit()" if error.code is None else f"sys.exit({error.code!r})"
        raise BatchError(
            f"the network called {call} while it was checked",
            where=_user_frames(error),
            help="raise an error that says what is wrong; nothing may leave Python here",
        ) from error
    except (KeyboardInterrupt, GeneratorExit, CancelledError):
        raise
    except BaseException as error:
        if is_out_of_memory(error):
            raise out_of_memory(error) from None
        raise explain(error) from error


def _without_derivative(error: BaseException, where: str) -> BatchError | None:
    """Explain that PyTorch knows no derivative of an operation; None for other faults."""
    found = re.search(r"derivative for aten::(\w+) is not implemented", str(error))
    if found is None:
        return None
    op = found[1]
    return BatchError(
        f"{op} passes no gradient: PyTorch knows no derivative of it, and loss.backward() fails",
        where=where,
        help=f"use a straight-through estimator, y = x + ({op}(x.detach(), ...) - x.detach()), or "
        f"{op}(x.detach(), ...) where no gradient is meant to pass",
    )


def _explain_backward(error: BaseException, graph: Graph) -> BatchError:
    place = _last_without_derivative(graph) or _user_frames(error)
    return _without_derivative(error, place) or BatchError(
        f"the backward pass raised {type(error).__name__}: {first_line(error)}",
        where=_user_frames(error),
        help="loss.backward() fails in the same way; "
        "torch.autograd.set_detect_anomaly(True) names the operation",
    )


def _last_without_derivative(graph: Graph) -> str:
    """Return where the last step without a derivative is, which a backward pass meets first."""
    for site, note in zip(reversed(graph.sites), reversed(graph.notes), strict=True):
        if note.node.name().endswith("NotImplemented"):
            return " ".join(filter(None, (site.path, str(site.source or ""))))
    return ""


def _explain_forward(error: BaseException, tape: ForwardTape) -> BatchError:
    failure = tape.failure
    line = str(failure.source or "") if failure is not None else ""
    if (known := _without_derivative(error, line or _user_frames(error))) is not None:
        return known
    if failure is None or isinstance(error, RecursionError):
        return _explain_call(error, tape.current_path)
    shapes = " and ".join(str(shape) for shape in failure.shapes) or "no tensors"
    place = " ".join(filter(None, (failure.path, str(failure.source or ""))))
    return BatchError(
        f"{failure.op} in {failure.path or 'the model'} does not fit its input, "
        f"shapes {shapes}: {first_line(error)}",
        where=place or _user_frames(error),
        help=_size_help(first_line(error))
        or _dtype_help(failure, first_line(error))
        or _shape_help(failure, tape),
    )


def _explain_call(error: BaseException, path: str = "") -> BatchError:
    """Explain what a forward pass raised, where no operation is known that did not fit."""
    help = "" if isinstance(error, RecursionError) else _ONCE
    if isinstance(error, TypeError) and (given := _GIVEN.search(str(error))):
        help = (
            f"give forward what it takes in place of a {given[1]}: a tensor, a tuple of them, or a "
            "dict with the names of its arguments: return inputs, target"
        )
    return BatchError(
        f"the forward pass raised {type(error).__name__}: {first_line(error)}",
        where=_user_frames(error) or path,
        help=help,
    )


def _size_help(message: str) -> str:
    """Return what to do about a batch of one sample, of which no deviation can be taken."""
    if "more than 1 value per channel" not in message:
        return ""
    return "leave batches of one sample out: DataLoader(..., drop_last=True)"


def _dtype_help(failure: Failure, message: str) -> str:
    """Return what converts a tensor whose type a layer does not take; empty for other faults."""
    if not re.search(r"dtype|scalar type|Input type|Long|Float\b", message):
        return ""
    if failure.op.startswith("embedding") or "scalar types: Long" in message:
        return "indices are integers: return inputs.long(), target"
    if re.search(r"long|int|double|byte|bool|uint8", message, re.IGNORECASE):
        return "layers take float32: return inputs.float(), target"
    return "give inputs of the type of the weights: return inputs.to(weight.dtype), target"


def _shape_help(failure: Failure, tape: ForwardTape) -> str:
    """Name the two layers that do not fit each other, where the tape knows them."""
    if failure.op == "linear" and len(failure.shapes) >= 2:
        return _layer_help(failure, tape, "features", failure.shapes[0][-1:], failure.shapes[1][1:])
    if failure.op.startswith("conv") and "transpose" not in failure.op and len(failure.shapes) > 1:
        given = failure.shapes[0][1:2]
        return _layer_help(failure, tape, "channels", given, failure.shapes[1][1:2])
    givers = [(_giver(shape, tape), shape) for shape in failure.shapes[:2]]
    named = [f"{path} gives {shape}" for path, shape in givers if path]
    return f"make the shapes agree: {', '.join(named)}" if len(named) == 2 else _ONCE


def _layer_help(
    failure: Failure, tape: ForwardTape, word: str, given: tuple[int, ...], takes: tuple[int, ...]
) -> str:
    if not given or not takes or given == takes:
        return _ONCE
    here = failure.path or "the model"
    giver = _giver(failure.shapes[0], tape)
    if giver:
        return (
            f"make them agree: {giver} gives {given[0]} {word}, {here} takes {takes[0]}"
            if giver != here
            else _ONCE
        )
    if tape.notes:
        return f"make them agree: {given[0]} {word} arrive, {here} takes {takes[0]}"
    return f"the batch gives {given[0]} {word}, {here} takes {takes[0]}: change either"


def _giver(shape: tuple[int, ...], tape: ForwardTape) -> str:
    """Return the last layer before a tensor of some shape; empty where it is not known."""
    notes = list(tape.notes.values())
    end = next((i for i in range(len(notes) - 1, -1, -1) if shape_of(notes[i].node) == shape), None)
    if end is None:
        return ""
    return next((n.path for n in reversed(notes[: end + 1]) if n.op in MATMUL_OPS and n.path), "")


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message; its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _user_frames(error: BaseException) -> str:
    """Return the last user lines of a traceback, innermost first, each once."""
    counts: dict[str, int] = {}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if owner_of(frame.filename) is Owner.USER and not frame.filename.startswith("<"):
            place = f"{display_path(frame.filename)}:{frame.lineno} in {frame.name}"
            counts[place] = counts.get(place, 0) + 1
    return "\n".join(
        f"{place}   ({count} times)" if count > 1 else place
        for place, count in list(counts.items())[:_SHOWN_FRAMES]
    )
