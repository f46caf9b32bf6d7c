"""Turn an exception inside the user's forward pass into one clear message."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from unvanish.core.errors import BatchError, CouldNotMeasureError, UnvanishError
from unvanish.core.stack import Owner, display_path, owner_of
from unvanish.observe.forward import ForwardTape

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception means that a device ran out of memory."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error) for w in _OUT_OF_MEMORY)


def out_of_memory(error: BaseException) -> CouldNotMeasureError:
    """Return the message for a device that ran out of memory."""
    return CouldNotMeasureError(
        f"the probe ran out of memory: {_first_line(error)}",
        where="forward or backward pass",
        help="use a smaller batch, fewer probe batches (--batches 1) or --probe-steps 0",
    )


@contextmanager
def explained(tape: ForwardTape) -> Iterator[None]:
    """Translate whatever the user's code raises inside a forward pass.

    Raises:
        BatchError: With the layer, the operation and the shapes that did not fit.
        CouldNotMeasureError: If memory ran out.
    """
    with _translated(lambda error: _explain_forward(error, tape)):
        yield


@contextmanager
def backward_explained() -> Iterator[None]:
    """Translate what a backward pass raises.

    Raises:
        BatchError: If the user's graph cannot be differentiated.
        CouldNotMeasureError: If memory ran out.
    """
    with _translated(_explain_backward):
        yield


@contextmanager
def _translated(explain: Callable[[Exception], BatchError]) -> Iterator[None]:
    try:
        yield
    except UnvanishError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise out_of_memory(error) from None
        raise explain(error) from error


def _explain_backward(error: Exception) -> BatchError:
    return BatchError(
        f"the backward pass raised {type(error).__name__}: {_first_line(error)}",
        where=_user_frames(error) or "backward pass",
        help="loss.backward() fails in the same way; "
        "torch.autograd.set_detect_anomaly(True) names the operation",
    )


def _explain_forward(error: Exception, tape: ForwardTape) -> BatchError:
    failure = tape.failure
    if failure is None:
        place = tape.current_path
        return BatchError(
            f"the forward pass raised {type(error).__name__}: {_first_line(error)}",
            where=_user_frames(error) or f"module {place or '(root)'}",
            help="run model(inputs) once by itself with this batch",
        )
    shapes = " and ".join(str(shape) for shape in failure.shapes) or "no tensors"
    at = f"  {failure.source}" if failure.source else ""
    return BatchError(
        f"{failure.op} in {failure.path or 'the model'} does not fit its input: "
        f"{_first_line(error)}",
        where=f"{failure.path or '(root)'} {failure.op}, shapes {shapes}{at}",
        help="give inputs of the shape this layer expects, for example --input-shape 3,224,224",
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _user_frames(error: BaseException) -> str:
    """Return the last user lines of a traceback, innermost last."""
    frames = traceback.extract_tb(error.__traceback__)
    users = [f for f in frames if owner_of(f.filename) is Owner.USER]
    return ", ".join(f"{display_path(f.filename)}:{f.lineno}" for f in users[-3:])
