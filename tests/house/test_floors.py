"""The floors hold, and the tests that say so can fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
TORCH_FREE = next(c for c in CONTRACTS["contracts"] if c["id"] == "torch-free")["source_modules"]
# The design's list; the contract may only name packages that exist.
ABOVE_THE_TAP = {"core", "theory", "diagnose", "explain", "show", "sinks"}

IMPORT_WITHOUT_TORCH = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
sys.modules["torch"] = None  # `import torch` now raises ModuleNotFoundError
count = 0
for root in sys.argv[2:]:
    package = importlib.import_module(root)
    count += 1
    for module in pkgutil.walk_packages(getattr(package, "__path__", ()), root + "."):
        importlib.import_module(module.name)
        count += 1
print(count)
"""


def import_without_torch(source: Path, *packages: str) -> subprocess.CompletedProcess[str]:
    """Import every module of the packages in a fresh process in which torch is missing."""
    return subprocess.run(
        [sys.executable, "-c", IMPORT_WITHOUT_TORCH, str(source), *packages],
        capture_output=True,
        text=True,
        check=False,
    )


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the copy of the package below `root`."""
    command = (
        f"import sys; sys.path.insert(0, {str(root / 'src')!r}); "
        "from importlinter.cli import lint_imports; "
        "sys.exit(lint_imports(config_filename='pyproject.toml', cache_dir=None))"
    )
    return subprocess.run(
        [sys.executable, "-c", command], cwd=root, capture_output=True, text=True, check=False
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package and its contracts that a test may spoil."""
    shutil.copytree(SOURCE, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def spoil(house: Path, module: str, line: str) -> None:
    path = house / "src" / "unvanish" / module
    path.write_text(path.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")


# ------------------------------------------------------------------ no torch above the tap


def test_torch_free_floors_import_without_torch() -> None:
    done = import_without_torch(SOURCE, *TORCH_FREE)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > len(TORCH_FREE), "packages were imported but no module in them"


@pytest.mark.parametrize("line", ["import torch", "from torch import nn", "import torch.nn as nn"])
def test_import_without_torch_can_fail(house: Path, line: str) -> None:
    spoil(house, "core/verdicts.py", line)
    done = import_without_torch(house / "src", "unvanish.core")
    assert done.returncode != 0
    assert "torch" in done.stderr.splitlines()[-1]


def test_every_floor_above_the_tap_is_under_the_contract() -> None:
    built = {name for name in ABOVE_THE_TAP if list((SOURCE / "unvanish").glob(f"{name}*"))}
    assert {name.removeprefix("unvanish.") for name in TORCH_FREE} == built


# ----------------------------------------------------------------------------- the contracts


def test_contracts_hold(house: Path) -> None:
    done = lint_imports(house)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("core/verdicts.py", "import unvanish.theory", "A floor imports only"),
        ("core/verdicts.py", "import unvanish.api", "A floor imports only"),
        ("show/__init__.py", "import unvanish.diagnose", "A floor imports only"),
        ("diagnose/__init__.py", "import unvanish.observe", "A floor imports only"),
        ("attic.py", "", "A floor imports only"),
        ("diagnose/__init__.py", "import torch", "No torch above the tap"),
        ("core/verdicts.py", "import unvanish.observe", "No torch above the tap"),
        ("observe/__init__.py", "import rich", "Only show and cli"),
        ("api.py", "import click", "Only show and cli"),
    ],
)
def test_contracts_can_fail(house: Path, module: str, line: str, contract: str) -> None:
    (house / "src" / "unvanish" / module).touch()  # creates the module that no contract lists
    spoil(house, module, line)
    done = lint_imports(house)
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(
        row.startswith(contract) and row.endswith("BROKEN") for row in done.stdout.splitlines()
    ), done.stdout
