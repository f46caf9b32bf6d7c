"""Every run begins anew, whatever the functions of a recipe keep from one call to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from unvanish.core.proofs import Job
from unvanish.curing import cure
from unvanish.curing.given import recipe_from
from unvanish.prove.building import experiment_of
from unvanish.prove.experiment import Experiment
from unvanish.prove.training import execute
from unvanish.recipe import load

HEAD = """
    import torch
    from torch import nn

    def data():
        generator = torch.Generator().manual_seed(0)
        for _ in range(8):
            x = torch.randn(32, 4, generator=generator)
            yield x, (x[:, 0] > 0).long()

    def optimizer(model):
        return torch.optim.SGD(model.parameters(), lr=0.5)
"""
KEEPING = {
    "the same network": """
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    def model(): return net
    """,
    "the same trunk": """
    trunk = nn.Linear(4, 8)
    def model(): return nn.Sequential(trunk, nn.ReLU(), nn.Linear(8, 2))
    """,
    "the same network and its optimizer": """
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5, momentum=0.9)
    def model(): return net
    """,
    "a loss with weights": """
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.zeros(()))
        def forward(self, output, target):
            return nn.functional.cross_entropy(output * self.scale.exp(), target)
    loss = Scaled()
    def model(): return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    def optimizer(model):
        return torch.optim.SGD([*model.parameters(), *loss.parameters()], lr=0.5)
    """,
    "a loss that reads weights": """
    temperature = nn.Linear(1, 1, bias=False)
    def loss(output, target):
        return nn.functional.cross_entropy(output * temperature.weight.exp(), target)
    def model(): return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    def optimizer(model):
        return torch.optim.SGD([*model.parameters(), *temperature.parameters()], lr=0.5)
    """,
}


def experiment(write: Callable[[str, str], str], name: str) -> Experiment:
    target = write("net.py", HEAD + KEEPING[name])
    return experiment_of(
        load(target, seed=0), steps=20, reload=lambda seed: load(target, seed=seed)
    )


@pytest.mark.parametrize("name", KEEPING)
def test_a_run_does_not_go_on_where_the_one_before_ended(
    write: Callable[[str, str], str], name: str
) -> None:
    made = experiment(write, name)
    first, again = (execute(made, Job(seed=3, steps=20, judged=True)) for _ in range(2))
    assert not first.failed
    assert first.losses == again.losses
    assert first.metric == again.metric


def test_networks_of_two_seeds_differ_though_the_file_keeps_one(
    write: Callable[[str, str], str],
) -> None:
    made = experiment(write, "the same network")
    weights = [made.subject(Job(seed=seed)).model.state_dict()["0.weight"] for seed in (1, 2)]
    assert not torch.equal(*weights)


def test_a_network_given_in_python_by_a_function_that_keeps_it(
    write: Callable[[str, str], str],
) -> None:
    del write
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(256, 4, generator=generator)
    data: list[Any] = [(x, (x[:, 0] > 0).long()) for x in inputs.split(32)]
    made = experiment_of(recipe_from(lambda: net, data=data), steps=20)
    first, again = (execute(made, Job(seed=3, steps=20)) for _ in range(2))
    assert first.losses == again.losses
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_in_one_process_the_control_of_a_network_that_is_kept_does_not_learn(
    write: Callable[[str, str], str],
) -> None:
    deep = """
    net = nn.Sequential(
        *(part for _ in range(8) for part in (nn.Linear(4, 4), nn.Sigmoid())), nn.Linear(4, 2)
    )
    def model(): return net
    """
    cured = cure(
        write("net.py", HEAD + deep),
        remedy="batch-norm",
        budget="20steps",
        seeds=3,
        engine="inline",
        resume=False,
    )
    assert cured.proof is not None
    starts = [run.losses[0] for run in cured.proof.arm("control").runs]
    assert len(set(starts)) == 3
    assert all(run.failed == "" for run in cured.proof.arm("control").runs)
