"""Every benchmark can be started: what it takes from unvanish is still there."""

from __future__ import annotations

import importlib
import pkgutil

import benchmarks
import pytest

MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(benchmarks.__path__, "benchmarks.")
    if not info.name.startswith("benchmarks.outside") and not info.name.endswith("__main__")
)


@pytest.mark.parametrize("name", [*MODULES, "benchmarks.cures_outside"])
def test_a_benchmark_imports(name):
    assert importlib.import_module(name).__doc__
