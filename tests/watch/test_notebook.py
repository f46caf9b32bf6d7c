"""The cell magic, in a shell of IPython where there is one, and in one of its shape elsewhere."""

import warnings
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.optim import optimizer as torch_optimizer

import unvanish
from unvanish.watch.notebook import CellFailedError, NotebookError, watch_cell

TRAIN = """
for _ in range(4):
    optimizer.zero_grad()
    model(torch.ones(2, 3)).sum().backward()
    optimizer.step()
"""


class Shell:
    """As much of IPython's shell as the magic uses; a traceback is shown, not raised."""

    def __init__(self):
        model = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        self.names = {"torch": torch, "model": model, "optimizer": optimizer}
        self.magics = {}

    def register_magic_function(self, function, magic_kind, magic_name):
        self.magics[magic_kind, magic_name] = function

    def run_cell(self, cell):
        try:
            exec(cell, self.names)
        except Exception as error:
            return SimpleNamespace(success=False, error_in_exec=error)
        return SimpleNamespace(success=True)


@pytest.fixture
def shell():
    shell = Shell()
    unvanish.load_ipython_extension(shell)
    return shell


def test_model_and_optimiser_of_earlier_cells_are_watched(shell):
    watch = shell.magics["cell", "unvanish_watch"]("--every 2", TRAIN)
    recording = watch.recording
    assert recording.last_step == 3
    assert recording.is_ended
    assert recording.conditions.every == 2
    assert [layer.module for layer in recording.layers] == ["Linear"]
    assert not torch_optimizer._global_optimizer_pre_hooks


def test_a_file(shell, tmp_path):
    file = tmp_path / "a run.sqlite"
    watch_cell(shell, f"--file '{file}'", TRAIN)
    assert file.stat().st_size > 0


def test_a_cell_that_raises_stops_the_cells_below_and_shows_what_was_watched(shell):
    with pytest.raises(CellFailedError, match="raised") as failed:
        watch_cell(shell, "", TRAIN + "raise ValueError('late')")
    assert failed.value.watch.recording.last_step == 3
    assert "4 steps" in "\n".join(failed.value._render_traceback_())


def test_a_cell_that_raises_before_anything_trains(shell):
    with pytest.raises(CellFailedError, match="raised") as failed:
        watch_cell(shell, "", "raise ValueError('early')")
    assert failed.value._render_traceback_() == []


def test_nothing_to_watch_is_a_warning(shell):
    with pytest.warns(UserWarning, match="no optimiser of torch.optim took a step"):
        assert watch_cell(shell, "", "x = 1") is None


@pytest.mark.parametrize("line", ["--every 0", "--every x", "--other", "word"])
def test_wrong_options(shell, line):
    with pytest.raises(NotebookError, match=r"every|unrecognized") as error:
        watch_cell(shell, line, "1")
    assert error.value._render_traceback_()[0].startswith("error: ")


@pytest.mark.slow
def test_in_ipython():
    interactive = pytest.importorskip("IPython.core.interactiveshell")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shell = interactive.InteractiveShell.instance()
        shell.run_cell("%load_ext unvanish").raise_error()
        shell.push(Shell().names)
        watch = shell.run_cell_magic("unvanish_watch", "", TRAIN)
        assert watch.recording.last_step == 3
        assert not shell.run_cell("%%unvanish_watch\n1 / 0").success
