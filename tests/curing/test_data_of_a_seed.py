"""`data(seed)` is called with the seed of the command; the seeds of the runs change the order."""

from __future__ import annotations

from collections.abc import Callable

import torch
from tests.curing.networks import SOURCE

from unvanish.curing import Cured, cure

SEEDED = SOURCE.replace(
    """def data():
    generator = torch.Generator().manual_seed(0)
    for _ in range(8):
""",
    """ASKED = []

def data(seed):
    ASKED.append(seed)
    generator = torch.Generator().manual_seed(seed)
    while True:
""",
)


def cured_at(write: Callable[[str, str], str], seed: int) -> Cured:
    return cure(
        write("net.py", SEEDED),
        seed=seed,
        remedy="batch-norm",
        budget="20steps",
        seeds=3,
        engine="inline",
        resume=False,
    )


def test_the_samples_are_those_of_one_seed_and_the_order_of_the_runs(
    write: Callable[[str, str], str],
) -> None:
    cured = cured_at(write, 7)
    assert cured.experiment is not None
    assert cured.recipe.model.forward.__func__.__globals__["ASKED"] == [7]
    partition = cured.experiment.partition
    x = torch.randn(32, 8, generator=torch.Generator().manual_seed(7))
    known = {
        tuple(row.tolist())
        for row in torch.cat(
            [
                partition.training[0],
                *(batch[0] for batch in (*partition.validation, *partition.held_out)),
            ]
        )
    }
    assert {tuple(row.tolist()) for row in x} <= known
    first, second = (next(partition.stream(seed))[0] for seed in (107, 108))
    assert not torch.equal(first, second)
    assert {tuple(row.tolist()) for row in (*first, *second)} <= known


def test_an_endless_stream_is_cut_and_it_is_said_where(
    write: Callable[[str, str], str],
) -> None:
    cured = cured_at(write, 0)
    assert cured.proof is not None
    said = next(note for note in cured.proof.notes if "the data go on" in note)
    assert "the first 30 batches, 960 samples, were drawn" in said
    counted = next(note for note in cured.proof.notes if "to train on" in note)
    assert counted.startswith("960 samples: ")
