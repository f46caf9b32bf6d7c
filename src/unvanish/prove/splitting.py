"""Which rows are trained on, chosen by and judged by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

VALIDATION: Final = 1 / 8
HELD_OUT: Final = 1 / 5
MOST_BATCHES: Final = 64
_MOST_ROWS: Final = 4096
"""The held-out part is no larger than the larger of the two; validation is half of that."""
_NEARLY_ALL: Final = 0.8


def without_repeats(keys: Sequence[int]) -> list[int] | None:
    """Return the first row of each kind where a data set was gone through several times.

    Of n different rows, draws with replacement meet 63 % in the first n; passes over a data set
    meet nearly all, and then hardly a new one. A few repeated rows are left as they are.
    """
    first: dict[int, int] = {}
    for position, key in enumerate(keys):
        first.setdefault(key, position)
    different = len(first)
    if different == len(keys):
        return None
    early = len(set(keys[:different])) / different
    later = sum(position >= different for position in first.values())
    new = later / (len(keys) - different)
    is_again = early >= _NEARLY_ALL and new <= 1 - _NEARLY_ALL
    return sorted(first.values()) if is_again else None


def classes_of(target: Any, count: int) -> Tensor | None:
    """Return the class of every row, where the target says one by a number or by a single one."""
    if not isinstance(target, Tensor) or target.shape[:1] != (count,) or target.is_complex():
        return None
    target = target.detach().cpu()
    if target.numel() == count:
        flat = target.reshape(-1)
    elif target.ndim == 2 and bool(((target == 1).sum(dim=1) == 1).all()):
        flat = (target == 1).long().argmax(dim=1)
    else:
        return None
    if flat.is_floating_point() and not bool((flat == flat.round()).all()):
        return None
    return flat.long() if len(flat.unique()) <= max(2, count // 3) else None


def three_parts(
    classes: Tensor | None, count: int, size: int, keep: bool, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows of the three parts, each class in proportion in all of them."""
    random = torch.Generator().manual_seed(seed)
    order = torch.randperm(count, generator=random)
    most = max(_MOST_ROWS, MOST_BATCHES * size)
    held_out, rest = order[:0], order
    if keep:
        held_out, rest = _apart(order, classes, min(HELD_OUT, most / count))
    share = min(VALIDATION, most / 2 / count) * count / len(rest)
    validation, train = _apart(rest, classes, share)
    return tuple(  # type: ignore[return-value]
        part[torch.randperm(len(part), generator=random)] for part in (train, validation, held_out)
    )


def _apart(rows: Tensor, classes: Tensor | None, share: float) -> tuple[Tensor, Tensor]:
    """Take every so-manieth row of each class out; a class of one or two rows stays."""
    if classes is not None:
        rows = rows[classes[rows].argsort(stable=True)]
    place = torch.arange(len(rows), dtype=torch.float64)
    out = ((place + 1) * share).floor() > (place * share).floor()
    if classes is not None:
        counts = Counter(classes[rows].tolist())
        out &= torch.tensor([counts[c] > 2 for c in classes[rows].tolist()])
    return rows[out], rows[~out]
