"""Engines by name, built in and of other packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from unvanish.core import registry
from unvanish.core.errors import UnvanishError
from unvanish.prove.engines import ENGINES, engine_of
from unvanish.prove.engines.inline import Inline
from unvanish.prove.engines.local import Local
from unvanish.prove.engines.protocol import Engine
from unvanish.prove.engines.ray_engine import Ray
from unvanish.prove.engines.running import usable_processors


class Theirs:
    """An engine of another package, which imports nothing of ours."""

    name = "theirs"

    def __init__(self) -> None:
        self.jobs = 5

    def run(self, experiment, jobs):  # noqa: ARG002
        yield from ()

    def close(self) -> None: ...


@pytest.fixture
def plugins(monkeypatch) -> None:
    points = [
        EntryPoint("theirs", f"{__name__}:Theirs", "unvanish.engines"),
        EntryPoint("broken", "no_such_module:Engine", "unvanish.engines"),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda **_: points)
    monkeypatch.setattr(EntryPoint, "load", lambda point: _load(point))


def _load(point: EntryPoint) -> object:
    if point.name == "theirs":
        return Theirs
    raise ModuleNotFoundError("No module named 'no_such_module'")


@pytest.mark.parametrize("make", ENGINES)
def test_the_built_in_ones_are_engines(make) -> None:
    assert isinstance(make(), Engine)


@pytest.mark.parametrize(
    ("name", "kind"), [("local", Local), ("inline", Inline), ("ray", Ray), (" Local ", Local)]
)
def test_they_are_found_by_name(name: str, kind: type) -> None:
    assert type(engine_of(name)) is kind


def test_the_number_of_runs_at_once_is_taken() -> None:
    assert engine_of().jobs == usable_processors()
    assert engine_of("local", 3).jobs == 3
    assert engine_of("ray", 3).jobs == 3
    assert engine_of("ray://head:10001", 3).jobs == 3
    assert engine_of("inline", 3).jobs == 1


@pytest.mark.parametrize("name", ["local", "inline", "ray", "ray://head:10001"])
def test_no_run_at_once_is_refused(name: str) -> None:
    with pytest.raises(UnvanishError, match="0 runs at once make no trial"):
        engine_of(name, 0)


def test_the_nearest_name_is_told() -> None:
    with pytest.raises(UnvanishError, match="there is no engine 'locl'") as caught:
        engine_of("locl")
    assert caught.value.help == "--engine local"
    assert caught.value.where == "there are local, inline, ray"


@pytest.mark.usefixtures("plugins")
def test_other_packages_offer_theirs() -> None:
    assert engine_of("theirs").jobs == 5
    assert engine_of("theirs", 2).jobs == 2
    with pytest.raises(UnvanishError, match=r"could not be loaded.*no_such_module"):
        engine_of("broken")
    assert type(engine_of("local")) is Local
