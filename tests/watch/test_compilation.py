"""What is compiled concerns the models that it may call, and no others."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from unvanish.core.glossary import LayerQuantity
from unvanish.watch import observe
from unvanish.watch.compilation import Compilation

pytestmark = pytest.mark.filterwarnings("ignore")


def net():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


@pytest.fixture(autouse=True)
def forget():
    yield
    torch._dynamo.reset()


def compiled(target):
    return torch.compile(target, backend="eager")


def test_a_model_is_concerned_by_its_own_compilation_alone():
    model, other = net(), net()
    compilation, for_other = Compilation(), Compilation()
    assert not compilation.concerns([model])
    keep = compiled(model)
    assert compilation.concerns([model])
    assert compilation.concerns([keep])
    assert not for_other.concerns([other])
    keep = compiled(other[0])
    assert for_other.concerns([other])


def test_a_module_that_compiles_itself():
    model, other = net(), net()
    model[2].compile(backend="eager")
    assert Compilation().concerns([model])
    assert not Compilation().concerns([other])


def test_a_part_of_a_compiled_whole():
    model = net()
    keep = compiled(nn.Sequential(model, nn.Linear(2, 1)))
    assert Compilation().concerns([model])
    del keep


def test_the_step_of_an_optimiser_concerns_no_model():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    keep = compiled(optimizer.step)
    assert not Compilation().concerns([model])
    del keep


def test_a_function_may_call_any_model():
    @compiled
    def train_step(model, x):
        return model(x).sum()

    assert Compilation().concerns([net()])
    assert train_step is not None


def test_a_model_beside_a_compiled_one_is_looked_into():
    other = compiled(net())
    other(torch.randn(2, 4)).sum().backward()
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer, every=1) as watch:
        for _ in range(3):
            optimizer.zero_grad()
            model(torch.randn(6, 4)).square().mean().backward()
            optimizer.step()
    assert LayerQuantity.ACTIVATION_RMS in watch.recording.by_layer
    assert watch.recording.conditions.unwatched == ()
