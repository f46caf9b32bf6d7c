"""Which line of the user's code built a module."""

import gc

import pytest
from torch import nn

from unvanish.core.errors import TargetError
from unvanish.recipe import load
from unvanish.recipe.building import copy_lines, recording_builds

NET = """\
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.rest = nn.Sequential(
            nn.ReLU(),
            nn.Linear(3, 2),
        )

    def forward(self, x):
        return self.rest(self.fc(x))

def model():
    return Net()
"""


def test_lines_are_the_users(write):
    write("net.py", NET)
    recipe = load("net.py", seed=0)
    lines = {name: str(recipe.built[module]) for name, module in recipe.model.named_modules()}
    assert lines == {
        "": "net.py:16",
        "fc": "net.py:6",
        "rest": "net.py:7",
        "rest.0": "net.py:8",
        "rest.1": "net.py:9",
    }


def test_init_is_restored(write):
    original = nn.Module.__init__
    write("net.py", NET)
    load("net.py", seed=0)
    assert nn.Module.__init__ is original


def test_init_is_restored_when_the_factory_raises(write):
    original = nn.Module.__init__
    write("net.py", "from torch import nn\ndef model():\n    nn.Linear(2, 2)\n    raise ValueError")
    with pytest.raises(TargetError, match="ValueError"):
        load("net.py", seed=0)
    assert nn.Module.__init__ is original


def test_this_test_can_fail():
    original = nn.Module.__init__
    with recording_builds():
        assert nn.Module.__init__ is not original


def test_no_module_is_kept_alive():
    with recording_builds() as lines:
        module = nn.Linear(2, 2)
        assert module in lines
        del module
    gc.collect()
    assert not lines


def test_a_module_that_cannot_be_hashed_is_left_out():
    class Odd(nn.Module):
        __hash__ = None

        def __eq__(self, other):
            return self is other

    with recording_builds() as lines:
        Odd()
    assert not lines


def test_lines_of_a_copy():
    with recording_builds() as lines:
        first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    line = lines[first]
    del lines[second]
    copy_lines(lines, first, second)
    assert lines[second] == line
