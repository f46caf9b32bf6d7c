"""The part that one process of several has of a sample: sums, and what they are sums of.

Without torch, so that the processes' recordings are put together anywhere.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from unvanish.core.errors import UnvanishError
from unvanish.core.packing import MalformedError, packer, unpacker

Pieces = Mapping[str, npt.NDArray[np.float64]]

_KEPT: Final = np.uint64(0xFFFF_FFFF_FF00_0000)
"""Bits of a number that are kept: 28 of its fraction, more than a recording has."""

_LEVEL: Final = 1

Cuts = tuple[tuple[int, int], ...]
"""Into how many pieces something is cut, and which one is here, from 0; empty for the whole.
Pieces that are equally numbered on two processes are copies of one another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterPart:
    """What a process has of one parameter.

    Attributes:
        layer: Place of its layer in the process's own recording.
        name: Its name there.
        cuts: Which piece of it.
        mesh: What the processes that share it out among themselves have in common; empty where
            they are not known.
        is_moved: Whether a watched optimiser moves it.
    """

    layer: int
    name: str
    cuts: Cuts = ()
    mesh: str = ""
    is_moved: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TapPart:
    """What a process has of one layer's output.

    Attributes:
        layer: Place of the layer in the process's own recording; -1 before it has one.
        is_bounded: Whether it is an activation that saturates.
        cuts: Which piece of its units.
    """

    layer: int
    is_bounded: bool = False
    cuts: Cuts = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What the sums of one process are sums of.

    Attributes:
        rank: Number of the process.
        world: How many there are.
        launch: What the processes of one start have in common.
        strategy: How they share the model, such as ``"FSDP2"``; empty where it is not known.
        batches: Into how many parts the batch is shared out; 0 where it is not known.
        divisor: By what the sum of the parts' gradients is divided; 0 for their number.
        passes: By what a pipeline divides the sum over its micro-batches.
        has_addends: Whether some gradients are but addends of what they will be.
        parameters: The columns of ``"parameters"`` and ``"turn"``.
        taps: The columns of ``"taps"``.
    """

    rank: int
    world: int
    launch: str
    strategy: str = ""
    batches: int = 0
    divisor: float = 0.0
    passes: int = 1
    has_addends: bool = False
    parameters: tuple[ParameterPart, ...] = ()
    taps: tuple[TapPart, ...] = ()

    def text(self) -> str:
        """Return it as JSON; `contents_of` is the inverse."""
        return json.dumps(packer(Contents)(self), separators=(",", ":"))


def contents_of(text: str) -> Contents:
    """Read what `Contents.text` wrote.

    Args:
        text: JSON.

    Raises:
        UnvanishError: If it is anything else.
    """
    try:
        found: Contents = unpacker(Contents)(json.loads(text))
    except (MalformedError, ValueError, TypeError, KeyError) as error:
        raise UnvanishError(f"the sums of a process are damaged: {error}") from None
    return found


def in_bytes(flags: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return eight numbers that are 0 or not as one from 0 to 255."""
    return np.packbits(flags > 0.0).astype(np.float64)


def out_of_bytes(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return what `in_bytes` was given, as zeros and ones, and zeros up to a multiple of eight."""
    return np.unpackbits(numbers.astype(np.uint8)).astype(np.float64)


def packed(pieces: Pieces) -> bytes:
    """Return arrays as bytes, exact to nine digits.

    Args:
        pieces: Name and array.
    """
    shapes = json.dumps({name: piece.shape for name, piece in pieces.items()}).encode()
    flat = [np.asarray(piece, dtype="<f8").reshape(-1) for piece in pieces.values()]
    numbers = np.concatenate(flat) if flat else np.zeros(0)
    bits = numbers.view("<u8") & _KEPT
    columns = bits.view(np.uint8).reshape(-1, 8).T[3:]
    return zlib.compress(len(shapes).to_bytes(4, "little") + shapes + columns.tobytes(), _LEVEL)


def unpacked(data: bytes) -> dict[str, npt.NDArray[np.float64]]:
    """Return the arrays that `packed` wrote.

    Args:
        data: What `packed` returned.

    Raises:
        UnvanishError: If the bytes are anything else.
    """
    try:
        plain = zlib.decompress(data)
        end = 4 + int.from_bytes(plain[:4], "little")
        shapes: dict[str, Any] = json.loads(plain[4:end])
        columns = np.frombuffer(plain, np.uint8, offset=end).reshape(5, -1)
        whole = np.zeros((columns.shape[1], 8), np.uint8)
        whole[:, 3:] = columns.T
        numbers = whole.reshape(-1).view("<f8")
        found, start = {}, 0
        for name, shape in shapes.items():
            size = int(np.prod(shape))
            found[name] = numbers[start : start + size].reshape(shape)
            start += size
    except (zlib.error, ValueError) as error:
        raise UnvanishError(f"the sums of a process are damaged: {error}") from None
    return found
