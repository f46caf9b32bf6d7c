"""Read samples from files. Nothing is downloaded, and what is no number is an error."""

from __future__ import annotations

import csv
import gzip
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from unvanish.core.errors import UnvanishError, import_optional

_TARGETS: Final = ("label", "target", "y", "labels", "targets", "class")
_PAIRS: Final = (
    ("x", "y"), ("X", "y"), ("X", "Y"), ("inputs", "targets"), ("inputs", "target"),
    ("x_train", "y_train"), ("X_train", "y_train"), ("train_x", "train_y"),
    ("train_images", "train_labels"), ("images", "labels"), ("data", "target"),
    ("data", "labels"), ("features", "labels"),
)  # fmt: skip
"""Names under which an archive of arrays holds inputs and targets."""
_MOST_CLASSES: Final = 20
_IDX: Final[dict[int, np.dtype[Any]]] = {
    0x08: np.dtype("u1"), 0x09: np.dtype("i1"), 0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"), 0x0D: np.dtype(">f4"), 0x0E: np.dtype(">f8"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Inputs and targets, one row for each sample.

    Attributes:
        inputs: Real numbers, or integers that are numbers of words.
        targets: Integers from 0 for classes, else real numbers.
        origin: What they are, as a person would name them.
        classes: Number of classes; 0 where the targets are real numbers.
        is_image: Whether the inputs are pixels.
        notes: What was assumed and changed.
    """

    inputs: Tensor
    targets: Tensor
    origin: str
    classes: int = 0
    is_image: bool = False
    notes: tuple[str, ...] = ()


def read_digits() -> Samples:
    """Return the 1797 images of scikit-learn's digits."""
    datasets: Any = import_optional("sklearn.datasets", extra="demo", purpose="--data digits")
    images, labels = datasets.load_digits(return_X_y=True)
    return Samples(
        inputs=torch.from_numpy(images).float().reshape(-1, 8, 8) / 16,
        targets=torch.from_numpy(labels).long(),
        origin="digits",
        classes=10,
        is_image=True,
    )


def read_mnist(path: Path) -> Samples:
    """Return images and labels in the format of MNIST.

    Args:
        path: The images, or a folder with them; with ``.gz`` or without. The labels lie
            beside them.

    Raises:
        UnvanishError: If something is missing or is not of this format.
    """
    images = _images_file(path)
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    stem = name.removesuffix(".gz")
    labels = next(
        (f for f in (images.with_name(n) for n in (name, stem, f"{stem}.gz")) if f.is_file()), None
    )
    if labels is None or labels == images:
        raise UnvanishError(
            f"there are no labels beside {images}",
            help=f"put {stem} or {stem}.gz into {images.parent}",
        )
    inputs, targets = _read_idx(images), _read_idx(labels)
    if len(inputs) != len(targets) or targets.ndim != 1 or inputs.ndim < 2:
        raise UnvanishError(
            f"images of shape {inputs.shape} and labels of shape {targets.shape} do not belong "
            "together",
            where=f"{images} and {labels}",
            help="give the images file itself: --data mnist-idx:FOLDER/train-images-idx3-ubyte.gz",
        )
    pixels = torch.from_numpy(inputs.astype(np.float32)) / 255
    return _with_classes(
        Samples(
            inputs=pixels,
            targets=torch.from_numpy(targets.astype(np.int64)),
            origin=images.name,
            is_image=True,
        )
    )


def _images_file(path: Path) -> Path:
    if path.is_file():
        return path
    folders = [path, path / "raw", path / "MNIST" / "raw"]
    found = [f for folder in folders for f in sorted(folder.glob("*images*idx3*")) if f.is_file()]
    train = [f for f in found if f.name.startswith("train")]
    if not found:
        raise UnvanishError(
            f"there are no images in {path}" if path.is_dir() else f"there is no {path}",
            help="--data mnist-idx:FOLDER, with train-images-idx3-ubyte.gz and "
            "train-labels-idx1-ubyte.gz in it",
        )
    return (train or found)[0]


def _read_idx(path: Path) -> np.ndarray[Any, Any]:
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        zero, kind, dimensions = struct.unpack(">HBB", content[:4])
        shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
        if zero or kind not in _IDX:
            raise ValueError("its first four bytes are not those of this format")
        values = np.frombuffer(content, _IDX[kind], offset=4 + 4 * dimensions)
        if len(values) != math.prod(shape):
            raise ValueError(f"it says {math.prod(shape)} numbers and holds {len(values)}")
        shaped: np.ndarray[Any, Any] = values.reshape(shape)
        return shaped
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise UnvanishError(
            f"{path.name} is no idx file: {error}",
            where=str(path),
            help="download the file again, or give another: --data mnist-idx:FOLDER",
        ) from error


def read_csv(path: Path) -> Samples:
    """Return the rows of a table of numbers.

    Args:
        path: A header is optional. The target is the column named ``label``, ``target`` or
            ``y``, else the last one.

    Raises:
        UnvanishError: If anything is no number; it says on which line.
    """
    lines = _lines(path)
    number, first = lines[0]
    header = None if all(_is_number(cell) for cell in first) else [c.strip() for c in first]
    rows = lines[1:] if header else lines
    if not rows or len(first) < 2:
        raise UnvanishError(
            "the table has no rows" if not rows else "the table has one column only",
            where=f"{path}:{number}",
            help="one sample a line, its numbers and then its target: 5.1,3.5,0",
        )
    names = header or [f"{i + 1}" for i in range(len(first))]
    values = np.array([_numbers(row, names, f"{path}:{line}", number) for line, row in rows])
    lower = [name.casefold() for name in names]
    column = next((lower.index(n) for n in _TARGETS if n in lower), len(names) - 1)
    inputs = torch.from_numpy(np.delete(values, column, axis=1)).float()
    return _with_classes(
        Samples(
            inputs=standardised(inputs),
            targets=torch.from_numpy(values[:, column]),
            origin=path.name,
            notes=(f"the target is the column {names[column]} of {path.name}",),
        )
    )


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnvanishError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}",
            help="--data csv:FILE",
        ) from error
    first = next((line for line in text.splitlines() if line.strip()), "")
    sign = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=sign if sign in first else ",")
    lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    if not lines:
        raise UnvanishError("the file is empty", where=str(path), help="--data csv:FILE")
    return lines


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return not cell.strip()
    return True


def _numbers(row: Sequence[str], names: Sequence[str], where: str, first: int) -> list[float]:
    if len(row) != len(names):
        raise UnvanishError(
            f"there are {len(row)} values here, and {len(names)} on line {first}",
            where=where,
            help="give every line as many values; a text with a comma in it wants quotes",
        )
    found = []
    for name, cell in zip(names, row, strict=True):
        number = float(cell) if cell.strip() and _is_number(cell) else math.nan
        if not math.isfinite(number):
            said = f"{cell.strip()!r} is no number" if cell.strip() else "a value is missing"
            raise UnvanishError(
                f"{said}, in the column {name}",
                where=where,
                help="write words as numbers (0, 1, 2, ...) and leave out lines with gaps, "
                "or read the file yourself: --data module:function",
            )
        found.append(number)
    return found


def read_npz(path: Path) -> Samples:
    """Return the arrays of a NumPy archive.

    Args:
        path: Holds ``x`` and ``y``, or another usual pair of names, or two arrays.

    Raises:
        UnvanishError: If it is none, or its arrays do not belong together.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, AttributeError, EOFError) as error:
        raise UnvanishError(
            f"{path} is no archive of arrays: {error}",
            help="np.savez('data.npz', x=inputs, y=targets), then --data npz:data.npz",
        ) from error
    pair = next((p for p in _PAIRS if set(p) <= set(arrays)), None)
    if pair is None and len(arrays) == 2:
        first, second = arrays
        pair = (first, second)
    if pair is None:
        raise UnvanishError(
            f"which arrays are inputs and targets? There are {', '.join(arrays) or 'none'}",
            where=str(path),
            help="np.savez('data.npz', x=inputs, y=targets)",
        )
    x, y = (arrays[name] for name in pair)
    for name, array in zip(pair, (x, y), strict=True):
        if array.dtype.kind not in "biuf" or not array.ndim or not np.isfinite(array).all():
            raise UnvanishError(
                f"the array {name} holds {array.dtype} of shape {array.shape}, not finite numbers",
                where=str(path),
                help="save finite numbers: np.nan_to_num(x.astype('float32'))",
            )
    if len(x) != len(y):
        raise UnvanishError(
            f"{pair[0]} has {len(x)} samples and {pair[1]} has {len(y)}",
            where=str(path),
            help="save as many targets as inputs",
        )
    is_image = x.dtype == np.uint8 and x.ndim > 2
    given = torch.from_numpy(np.ascontiguousarray(x))
    if x.dtype == np.uint8:
        inputs = given.float() / 255
    elif x.dtype.kind in "iub":
        inputs = given.long()
    else:
        inputs = standardised(given.float())
    y = y.squeeze(1) if y.ndim == 2 and y.shape[1] == 1 else y
    targets = torch.from_numpy(np.ascontiguousarray(y))
    said = f"{pair[0]} of {path.name} are the inputs and {pair[1]} the targets"
    return _with_classes(
        Samples(inputs=inputs, targets=targets, origin=path.name, is_image=is_image, notes=(said,))
    )


def standardised(values: Tensor) -> Tensor:
    """Bring each column to mean 0 and variance 1, or all of an array that is no table."""
    over = (0,) if values.ndim <= 2 else tuple(range(values.ndim))
    mean = values.double().mean(dim=over, keepdim=True)
    deviation = values.double().std(dim=over, keepdim=True, correction=0)
    return ((values - mean) / deviation.where(deviation > 0, 1.0)).float()


def _with_classes(samples: Samples) -> Samples:
    """Count integers with few values from 0 as classes; bring other targets to variance 1."""
    targets = samples.targets
    values = targets.unique() if targets.ndim == 1 else targets[:0]
    few = 2 <= len(values) <= _MOST_CLASSES and 2 * len(values) <= len(targets)
    whole = few and bool((values == values.round()).all())
    if samples.is_image and targets.ndim == 1 and not targets.is_floating_point():
        whole = True
    if not whole:
        note = (
            f"the target of {samples.origin} was brought to mean 0 and variance 1: "
            "a squared error of 1 is that of the mean"
        )
        return replace(
            samples,
            targets=standardised(targets.double()),
            notes=(*samples.notes, note),
        )
    notes = samples.notes
    if values.tolist() != list(range(len(values))):
        shown = ", ".join(f"{value:g}" for value in values[:4].tolist())
        notes += (f"the classes {shown}{' ...' if len(values) > 4 else ''} are counted from 0",)
    return replace(
        samples,
        targets=torch.searchsorted(values, targets.contiguous()),
        classes=len(values),
        notes=notes,
    )
