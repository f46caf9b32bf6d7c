"""Whose design a cut is: the user's, or that of a library that lies in `site-packages`."""

from __future__ import annotations

import importlib
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from unvanish.core.findings import Severity
from unvanish.core.records import Recording
from unvanish.core.stack import display_path, package_of
from unvanish.core.verdicts import Clear, Found
from unvanish.diagnose.rules.detached import DetachedParameter
from unvanish.diagnose.rules.gradient_trap import GradientTrap
from unvanish.diagnose.rules.zero_derivative import ZeroDerivative
from unvanish.observe import trace

LIBRARY = """
    import torch
    from torch import nn


    class Chooser(nn.Module):
        def __init__(self):
            super().__init__()
            self.scores = nn.Linear(8, 8)

        @torch.no_grad()
        def forward(self, x):
            return torch.sigmoid(self.scores(x))


    class Sparse(nn.Module):
        "An attention of sorts, whose chooser learns nothing from this loss."

        def __init__(self):
            super().__init__()
            self.chooser = Chooser()
            self.value = nn.Linear(8, 8)

        def forward(self, x):
            return torch.tanh(self.value(x)) * self.chooser(x)


    class Codec(nn.Module):
        "Chooses a code by topk, without a straight-through estimator."

        def __init__(self):
            super().__init__()
            self.encode = nn.Linear(8, 16)
            self.codes = nn.Embedding(16, 8)

        def forward(self, x):
            return self.codes(self.encode(x).topk(1).indices[:, 0])


    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 8)

        def forward(self, x):
            return torch.tanh(self.linear(x))


    class Frozen(Block):
        def forward(self, x):
            return super().forward(x).detach()


    def normalised(x):
        return x.detach() / 2


    def gradient_back_on(x):
        with torch.enable_grad():
            return x * 1
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    home = tmp_path / "lib" / "site-packages"
    (home / "foreign").mkdir(parents=True)
    (home / "foreign" / "__init__.py").write_text(textwrap.dedent(LIBRARY), "utf-8")
    monkeypatch.syspath_prepend(str(home))
    yield home
    sys.modules.pop("foreign", None)


@pytest.fixture
def foreign(home: Path) -> ModuleType:
    assert home.is_dir()
    return importlib.import_module("foreign")


def looked_at(model: nn.Module) -> Recording:
    torch.manual_seed(0)
    return trace(model, (torch.randn(16, 8), torch.randint(0, 3, (16,))), probe_steps=0)


def severities(recording: Recording) -> list[Severity]:
    verdict = DetachedParameter().examine(recording)
    return [f.severity for f in verdict.findings] if isinstance(verdict, Found) else []


class Own(nn.Module):
    """A network of the user's with one step that is not."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.first, self.step, self.head = nn.Linear(8, 8), step, nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.first(x) + self.step(x))


@pytest.mark.parametrize("part", ["Sparse", "Codec"])
def test_what_a_library_cuts_of_its_own_is_a_note(foreign: ModuleType, part: str) -> None:
    recording = looked_at(Own(getattr(foreign, part)()))
    verdict = DetachedParameter().examine(recording)
    assert isinstance(verdict, Found)
    (finding,) = verdict.findings
    assert finding.severity is Severity.NOTE
    assert "by design of foreign" in finding.message
    assert finding.parameters[0].startswith("step.")
    assert str(finding.sites[0].source).startswith(str(foreign.__file__))
    assert isinstance(GradientTrap().examine(recording), Clear)
    assert not isinstance(ZeroDerivative().examine(recording), Found)


def test_it_is_a_note_too_where_the_library_wrote_the_whole_network(foreign: ModuleType) -> None:
    assert severities(looked_at(foreign.Sparse())) == [Severity.NOTE]


class Bypassed(Own):
    """Runs the library's step without gradient, which the library does not."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            step = self.step(x)
        return self.head(self.first(x) + step)


class SwitchedOff(Own):
    @torch.no_grad()
    def chosen(self, x: Tensor) -> Tensor:
        return self.step(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.first(x) + self.chosen(x))


class Chained(Own):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.step(self.first(x)))


@pytest.mark.parametrize("network", [Bypassed, SwitchedOff])
def test_a_library_call_under_no_grad_of_the_users_is_the_users(
    foreign: ModuleType, network: type[Own]
) -> None:
    recording = looked_at(network(foreign.Block()))
    assert severities(recording) == [Severity.ERROR]
    assert isinstance(GradientTrap().examine(recording), Found)
    assert not any(cut.package for cut in recording.cuts)


def test_a_library_that_cuts_off_the_users_layer_is_an_error(foreign: ModuleType) -> None:
    recording = looked_at(Chained(foreign.Codec()))
    verdict = DetachedParameter().examine(recording)
    assert isinstance(verdict, Found)
    assert [f.severity for f in verdict.findings] == [Severity.ERROR, Severity.NOTE]
    assert verdict.findings[0].parameters == ("first.weight", "first.bias")
    assert verdict.findings[1].parameters == ("step.encode.weight", "step.encode.bias")


def test_a_part_of_which_nothing_learns_is_the_users(foreign: ModuleType) -> None:
    recording = looked_at(Own(foreign.Frozen()))
    assert severities(recording) == [Severity.ERROR]
    (cut,) = recording.cuts
    assert str(cut.source).startswith(display_path(__file__))


def test_blocks_that_the_user_chained_are_the_users(foreign: ModuleType) -> None:
    recording = looked_at(Own(nn.Sequential(foreign.Sparse(), foreign.Codec())))
    by_design = {p.name for p in recording.parameters if p.left_out_by}
    assert by_design == {"step.1.encode.weight", "step.1.encode.bias"}
    assert severities(recording) == [Severity.ERROR, Severity.NOTE]


def test_a_function_of_a_library_on_the_users_way_is_the_users(foreign: ModuleType) -> None:
    class Net(Own):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(foreign.normalised(self.step(x)) + self.first(x))

    assert severities(looked_at(Net(nn.Linear(8, 8)))) == [Severity.ERROR]


def test_no_grad_stays_the_users_past_an_enable_grad_of_the_library(foreign: ModuleType) -> None:
    class Net(Own):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                step = self.step(foreign.gradient_back_on(x))
            return self.head(self.first(x) + step)

    assert severities(looked_at(Net(foreign.Block()))) == [Severity.ERROR]


def test_a_network_that_learns_nothing_is_an_error_whoever_wrote_it(foreign: ModuleType) -> None:
    assert severities(looked_at(foreign.Frozen())) == [Severity.ERROR]


def test_a_class_of_the_users_with_the_librarys_forward_is_the_librarys(
    foreign: ModuleType,
) -> None:
    class Mine(foreign.Sparse):  # type: ignore[name-defined, misc]
        pass

    assert severities(looked_at(Own(Mine()))) == [Severity.NOTE]


def test_a_package_installed_from_a_directory_is_the_users(home: Path) -> None:
    note = home / "foreign-1.0.dist-info"
    note.mkdir()
    (note / "direct_url.json").write_text(json.dumps({"url": "file:///x", "dir_info": {}}), "utf-8")
    (note / "RECORD").write_text("foreign/__init__.py,,\nforeign-1.0.dist-info/RECORD,,\n", "utf-8")
    foreign = importlib.import_module("foreign")
    assert package_of(str(foreign.__file__)) == ""
    assert severities(looked_at(Own(foreign.Sparse()))) == [Severity.ERROR]
