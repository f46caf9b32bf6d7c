"""What is sent to a fresh process: the user's own modules, and nothing that cannot travel."""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.prove.engines.problems import ended, experiment, jobs, program, timeless

from unvanish.prove.building import experiment_of
from unvanish.prove.engines import forking, wire
from unvanish.prove.engines.inline import Inline
from unvanish.prove.engines.local import Local
from unvanish.prove.engines.shipping import NotShippableError, by_value, shipped, users_modules
from unvanish.recipe.loading import load

NET = """
    import torch
    from helper import width
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(6, width())
            self.head = nn.Linear(width(), 2)

        def forward(self, x):
            return self.head(torch.sigmoid(self.body(x)))

    def model():
        return Net()

    def loss(output, target):
        return torch.nn.functional.cross_entropy(output, target)

    def optimizer(model):
        return torch.optim.SGD(model.parameters(), lr=0.1)

    def data():
        generator = torch.Generator().manual_seed(0)
        for _ in range(20):
            x = torch.randn(32, 6, generator=generator)
            yield x, (x.sum(1) > 0).long()
"""


@pytest.fixture
def target(write: Callable[[str, str], str]) -> str:
    write("helper.py", "def width():\n    return 12\n")
    return write("net.py", NET)


def finished(write: Callable[[str, str], str]) -> str:
    """A network that is there already, with an optimiser that holds its parameters."""
    text = NET.replace("def model():\n        return Net()", "model = Net()")
    return write("ready.py", text.replace("def optimizer(model):\n        return", "optimizer ="))


@pytest.mark.parametrize("kind", ["made", "finished"])
def test_a_recipe_travels_without_its_data(target: str, write, kind: str) -> None:
    pytest.importorskip("cloudpickle")
    name = target if kind == "made" else finished(write)
    sound = experiment_of(load(name, seed=0), steps=10)
    opened = pickle.loads(shipped(sound))
    asked = jobs(2, remedies=("relu",))
    runs = timeless(Inline().run(opened, asked))
    assert [run.failed for run in runs] == ["", ""]
    assert runs == timeless(Inline().run(sound, asked))


def test_it_opens_where_the_files_are_not(target: str, tmp_path) -> None:
    pytest.importorskip("cloudpickle")
    sound = experiment_of(load(target, seed=0), steps=10)
    here = timeless(Inline().run(sound, jobs(1)))
    answer = tmp_path / "answer"

    def elsewhere() -> None:
        parcel = shipped(sound)
        for name in ("net", "helper"):
            del sys.modules[name]
            Path(f"{name}.py").unlink()
        (run,) = Inline().run(pickle.loads(parcel), jobs(1))
        answer.write_text(wire.written(run))

    assert ended(program(elsewhere)) == 0
    assert timeless([wire.read(answer.read_text())]) == here


@pytest.mark.slow
def test_fresh_processes_train_the_network_of_a_file(target: str, monkeypatch) -> None:
    pytest.importorskip("cloudpickle")
    monkeypatch.setattr(forking, "unfit", lambda: "told so")
    sound = experiment_of(load(target, seed=0), steps=10)
    engine = Local(2)
    assert timeless(engine.run(sound, jobs(3))) == timeless(Inline().run(sound, jobs(3)))
    assert engine.how == "2 fresh processes at once: told so"


def test_what_holds_a_lock_cannot_travel() -> None:
    pytest.importorskip("cloudpickle")
    held = threading.Lock()
    with pytest.raises(NotShippableError, match=r"cannot be pickled.*lock"):
        shipped(experiment(lambda _: held.locked()))


def test_without_a_pickler_it_says_so(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(NotShippableError, match="cloudpickle is not installed"):
        shipped(experiment())


def test_the_modules_of_the_user_are_registered_for_the_moment() -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    before = cloudpickle.list_registry_pickle_by_value()
    with by_value(cloudpickle):
        assert "tests.prove.engines.problems" in cloudpickle.list_registry_pickle_by_value()
    assert cloudpickle.list_registry_pickle_by_value() == before


def test_libraries_and_we_are_not_the_user() -> None:
    names = {module.__name__.partition(".")[0] for module in users_modules()}
    assert not names & {"torch", "numpy", "unvanish", "pickle", "pytest", "_pytest", "click"}
