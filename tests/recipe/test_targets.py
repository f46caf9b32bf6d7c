"""What a TARGET may be, and that each is found."""

import sys

import pytest
import torch

from unvanish.core.errors import TargetError
from unvanish.recipe import Recipe, load

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.fc = nn.Linear(5, width)
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(torch.relu(self.fc(x)))
"""


def same_weights(a, b):
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ("", ""),
        ("", ":Net"),
        ("", "::Net"),
        ("net = Net()", ":net"),
        ("net = Net()", ""),
        ("def build_model(): return Net()", ""),
        ("def build_model(seed): return Net()", ":build_model"),
        ("make = lambda: Net()", ":make"),
        ("class Zoo:\n    small = Net", ":Zoo.small"),
        ("class Zoo:\n    @staticmethod\n    def big(): return Net(99)", ":Zoo.big"),
        ("model = Net()", ""),
        ("model = Net", ""),
        ("def model(seed=3): return Net()", ""),
        ("criterion = nn.CrossEntropyLoss(); net = Net()", ""),
        ("class Block(nn.Module):\n    def __init__(self, dim): super().__init__()", ""),
    ],
)
def test_every_kind_of_target(write, more, name):
    write("net.py", f"{NET}\n{more}\n")
    recipe = load(f"net.py{name}", seed=0)
    assert isinstance(recipe, Recipe)
    assert type(recipe.model).__name__ == "Net"
    inputs, target = recipe.batch
    assert inputs.shape == (32, 5)
    assert target.shape == (32,)
    assert target.max() < 3


def test_dotted_module_in_the_working_directory(write):
    write("pack/__init__.py", "")
    write("pack/blocks.py", "WIDTH = 5")
    write("pack/nets.py", "from .blocks import WIDTH\n" + NET)
    assert type(load("pack.nets:Net", seed=0).model).__name__ == "Net"
    assert type(load("pack/nets.py:Net", seed=0).model).__name__ == "Net"


def test_file_sees_its_neighbours_and_the_path_is_restored(write):
    write("deep/inside/helper.py", "WIDTH = 5")
    write("deep/inside/net.py", "import helper\n" + NET)
    before = list(sys.path), list(sys.argv)
    load("deep/inside/net.py:Net", seed=0)
    assert (list(sys.path), list(sys.argv)) == before


def test_path_is_restored_when_the_import_fails(write):
    write("net.py", "raise ValueError('no')")
    before = list(sys.path), list(sys.argv), sys.stdout
    with pytest.raises(TargetError, match="no"):
        load("net.py", seed=0)
    assert (list(sys.path), list(sys.argv), sys.stdout) == before
    assert "net" not in sys.modules


def test_an_edited_file_and_its_neighbours_are_read_again(write):
    write("helper.py", "WIDTH = 8")
    write("net.py", "import helper\n" + NET + "\ndef model(): return Net(helper.WIDTH)")
    assert load("net.py", seed=0).model.fc.out_features == 8
    write("helper.py", "WIDTH = 123")
    assert load("net.py", seed=0).model.fc.out_features == 123


def test_main_guard_does_not_run_and_prints_go_to_stderr(write, capsys):
    guard = "if __name__ == '__main__':\n    raise SystemExit('trained')\n"
    write("net.py", f"{NET}\nprint('hello')\n{guard}")
    load("net.py", seed=0)
    out, err = capsys.readouterr()
    assert out == ""
    assert "hello" in err


def test_a_network_that_is_made_only_in_a_script_is_asked_for_above_it(write):
    guard = "\nif __name__ == '__main__':\n    net = nn.Linear(2, 2)\n"
    with pytest.raises(TargetError, match="holds no network") as caught:
        load(write("net.py", f"from torch import nn\n{guard}"), seed=0)
    said = 'above `if __name__ == "__main__":`, whose block is not run: def model()'
    assert said in caught.value.help


def test_a_file_named_like_a_library_does_not_replace_it(write):
    write("torch.py", "from collections import OrderedDict\nmodel = None")
    with pytest.raises(TargetError, match="holds no network"):
        load("torch.py", seed=0)
    assert sys.modules["torch"] is torch


def test_same_seed_same_weights_and_the_users_generators_are_left_alone(write):
    write("net.py", NET)
    before = torch.get_rng_state()
    first, second = (load("net.py", seed=4) for _ in range(2))
    other = load("net.py", seed=5)
    assert torch.equal(before, torch.get_rng_state())
    assert same_weights(first.model, second.model)
    assert torch.equal(first.batch[0], second.batch[0])
    assert not same_weights(first.model, other.model)


def test_an_instance_made_at_import_is_seeded_too(write):
    write("net.py", NET + "\nnet = Net()")
    first, second = (load("net.py:net", seed=4) for _ in range(2))
    assert same_weights(first.model, second.model)
    copy = first.fresh(9)
    assert copy is not first.model
    assert same_weights(copy, first.model)
    assert first.built[copy.fc] == first.built[first.model.fc]


def test_fresh_builds_anew_from_the_seed(write):
    write("net.py", NET)
    recipe = load("net.py", seed=4)
    assert same_weights(recipe.fresh(4), recipe.model)
    assert not same_weights(recipe.fresh(5), recipe.model)
    assert recipe.fresh(4) is not recipe.model


def test_zoo():
    recipe = load("zoo:deep_sigmoid", seed=0)
    assert load("zoo:deep-sigmoid", seed=0).target == "zoo:deep-sigmoid"
    assert recipe.goal == 0.9
    assert recipe.higher_is_better
    inputs, target = recipe.batch
    assert inputs.shape == (128, 64)
    assert len(list(recipe.data)) == 11
    assert 0 <= recipe.metric(recipe.model) <= 0.3
    assert recipe.loss(recipe.model(inputs), target).isfinite()
    assert recipe.optimizer(recipe.model).defaults["momentum"] == 0.9
