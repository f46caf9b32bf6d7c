"""`nn.DataParallel` runs replicas of a treated network, each in a thread, with its insertions."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unvanish.treat.interception import is_shadowed, shadow
from unvanish.treat.surgery import Surgery
from unvanish.treat.treatment import treat

WIDTH = 6


class Deep(nn.Module):
    def __init__(self, depth: int = 6) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(depth))
        self.act = nn.Sigmoid()
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.act(layer(x))
        return self.head(x)


class Loop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(WIDTH, WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), WIDTH)
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.head(state)


def rows(*more: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, *more, WIDTH, generator=generator)
    return x, torch.randint(0, 3, (8,), generator=generator)


def replicas(model: nn.Module, count: int) -> list[nn.Module]:
    """What `torch.nn.parallel.replicate` does, without the devices that it needs."""
    modules = list(model.modules())
    index = {module: number for number, module in enumerate(modules)}
    weights = {p: p * 1.0 for p in model.parameters()}
    found = []
    for _ in range(count):
        copies = [module._replicate_for_data_parallel() for module in modules]
        for module, twin in zip(modules, copies, strict=True):
            for key, child in module._modules.items():
                setattr(twin, key, None if child is None else copies[index[child]])
            for key, parameter in module._parameters.items():
                if parameter is not None:
                    setattr(twin, key, weights[parameter])
            for key, buffer in module._buffers.items():
                setattr(twin, key, buffer)
        found.append(copies[0])
    return found


def side_by_side(models: list[nn.Module], inputs: list[Tensor]) -> list[Tensor]:
    """Run each in a thread of its own, as `torch.nn.parallel.parallel_apply` does."""
    found: list[Any] = [None] * len(models)

    def run(number: int) -> None:
        found[number] = models[number](inputs[number])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(models))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    return found


@pytest.mark.parametrize(
    ("make", "remedy", "batch"),
    [
        (Deep, "relu", rows()),
        (Deep, "residual", rows()),
        (Deep, "layer-norm", rows()),
        (Loop, "truncated-sequences", rows(20)),
    ],
)
def test_replicas_compute_what_the_treated_network_does(
    make: type[nn.Module], remedy: str, batch: tuple[Tensor, Tensor]
) -> None:
    torch.manual_seed(0)
    plain = make()
    model = treat(plain, remedy, batch).model
    expected = model(batch[0])
    if remedy != "truncated-sequences":
        assert not torch.allclose(expected, plain(batch[0]))
    twins = replicas(model, 4)
    assert all(twin.get_submodule("head") is not model.head for twin in twins)
    got = torch.cat(side_by_side(twins, list(batch[0].chunk(4))))
    torch.testing.assert_close(got, expected)
    wanted = torch.autograd.grad(expected.square().sum(), list(model.parameters()))
    found = torch.autograd.grad(got.square().sum(), list(model.parameters()))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_a_replica_runs_its_own_parts() -> None:
    model = Deep()
    Surgery(model).insert("", nn.PReLU(), "after", stem="slope")
    (twin,) = replicas(model, 1)
    assert shadow(twin).module is twin
    with torch.no_grad():
        twin.head.weight.zero_()  # type: ignore[union-attr]
        assert not torch.equal(twin(rows()[0]), model(rows()[0]))


def test_what_was_inserted_leaves_nothing_behind() -> None:
    model = Deep()
    keys = set(vars(model))
    surgery = Surgery(model)
    surgery.insert("", nn.ReLU(), "after")
    twin = copy.deepcopy(model)
    (replica,) = replicas(twin, 1)
    assert shadow(replica).module is replica
    surgery.undo()
    assert set(vars(model)) == keys
    assert not is_shadowed(model)
    assert is_shadowed(twin)
