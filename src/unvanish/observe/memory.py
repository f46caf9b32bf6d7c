"""What a backward pass keeps in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_PARTS = {
    torch.sparse_coo: ("_indices", "_values"),
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}


@contextmanager
def kept_bytes() -> Iterator[dict[int, int]]:
    """Count what is kept for the backward pass of all that is computed in a block.

    Yields:
        Address of each storage to its size in bytes, each one once. What has no storage of its
        own on this machine, such as a tensor of the meta device, counts nothing.
    """
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        parts = _PARTS.get(tensor.layout)
        for part in [getattr(tensor, name)() for name in parts] if parts else [tensor]:
            try:
                storage = part.untyped_storage()
            except (NotImplementedError, RuntimeError):
                continue
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield kept
