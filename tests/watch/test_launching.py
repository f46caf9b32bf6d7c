"""Which process of several this is, and how several are started."""

import sys

import pytest

from unvanish.watch.launching import rank, torchrun_command


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 0),
        ({"RANK": "1", "WORLD_SIZE": "2"}, 1),
        ({"RANK": "0", "WORLD_SIZE": "2"}, 0),
        ({"RANK": "3"}, 0),
        ({"RANK": "3", "WORLD_SIZE": "1"}, 0),
        ({"RANK": "gold", "WORLD_SIZE": "many"}, 0),
    ],
)
def test_rank(environment, expected):
    assert rank(environment) == expected


def test_the_command_keeps_the_words_of_the_script_apart():
    command = torchrun_command(["--every", "5", "--", "train.py", "--nproc", "9"], 2)
    assert command[:3] == [sys.executable, "-m", "torch.distributed.run"]
    assert "--nproc-per-node=2" in command
    assert command[command.index("unvanish") :] == [
        *("unvanish", "run", "--every", "5", "--", "train.py", "--nproc", "9")
    ]
