"""Which process of several this is, and how several are started."""

import sys

import pytest

from unvanish.watch.launching import launch_of, rank, torchrun_command, world_size


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, 0),
        ({"RANK": "1", "WORLD_SIZE": "2"}, 1),
        ({"RANK": "0", "WORLD_SIZE": "2"}, 0),
        ({"RANK": "3"}, 0),
        ({"RANK": "3", "WORLD_SIZE": "1"}, 0),
        ({"RANK": "gold", "WORLD_SIZE": "many"}, 0),
        ({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4"}, 3),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, 0),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, 1),
        ({"RANK": "1", "WORLD_SIZE": "2", "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"}, 1),
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


def test_processes_of_one_start_have_it_in_common_and_no_others():
    start = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_PORT": "29500", "TORCHELASTIC_RUN_ID": "a"}
    other = {**start, "RANK": "1"}
    assert launch_of(start, 10) == launch_of(other, 11)  # of two machines, say
    assert launch_of(start, 10) != launch_of({**start, "TORCHELASTIC_RESTART_COUNT": "1"}, 10)
    assert launch_of(start, 10) != launch_of({**start, "MASTER_PORT": "29501"}, 10)
    assert world_size(start) == 2


def test_without_a_launcher_the_process_above_is_what_they_have_in_common():
    assert launch_of({}, 10) == launch_of({}, 10) != launch_of({}, 11)
    assert world_size({}) == 1
