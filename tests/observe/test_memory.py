"""Bytes kept for the backward pass: dense, shared and sparse tensors."""

from __future__ import annotations

import pytest
import torch

from unvanish.observe.memory import kept_bytes


def test_a_tensor_that_is_kept_twice_counts_once() -> None:
    x = torch.ones(10, requires_grad=True)
    with kept_bytes() as kept:
        x * x
    assert sum(kept.values()) == 40


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_sparse_tensors_count_what_they_hold() -> None:
    x = torch.ones(4, 3, requires_grad=True)
    adjacency = torch.eye(4).to_sparse()
    with kept_bytes() as kept:
        torch.sparse.mm(adjacency, x)
    assert sum(kept.values()) >= 4 * 4 + 2 * 4 * 8
    with kept_bytes() as kept:
        torch.sparse.mm(torch.eye(4).to_sparse_csr(), x)
    assert sum(kept.values()) > 0
