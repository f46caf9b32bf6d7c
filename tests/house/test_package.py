"""The package as somebody else meets it: public names, version, types, metadata."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import unvanish

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )


# -------------------------------------------------------------------------- public names


@pytest.mark.parametrize("name", unvanish.__all__)
def test_public_name_loads(name: str) -> None:
    assert getattr(unvanish, name) is not None
    assert name in dir(unvanish)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'unvanish' has no attribute 'chekup'"):
        _ = unvanish.chekup


@pytest.mark.parametrize("name", ["Recording", "Finding", "Quantity", "diagnose", "__version__"])
def test_torch_free_names_do_not_import_torch(name: str) -> None:
    done = python(f"import sys, unvanish; unvanish.{name}; sys.exit('torch' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_import_loads_nothing_but_the_standard_library() -> None:
    done = python(
        "import sys, unvanish\n"
        "loaded = {module.split('.')[0] for module in sys.modules}\n"
        "print(*sorted(loaded & {'torch', 'numpy', 'scipy', 'rich', 'click'}))"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_every_public_name_has_a_docstring() -> None:
    bare = [n for n in unvanish.__all__ if n != "__version__" and not getattr(unvanish, n).__doc__]
    assert bare == []


@pytest.mark.parametrize(
    "first",
    [
        "import unvanish.diagnose",
        "import unvanish.api",
        "from unvanish import diagnose",
        "import importlib; importlib.import_module('unvanish.diagnose')",
    ],
)
def test_a_verb_stays_callable_whoever_imports_its_package_first(first: str) -> None:
    done = python(f"{first}\nimport unvanish\nassert not hasattr(unvanish.diagnose, '__path__')")
    assert done.returncode == 0, done.stderr
    done = python(f"{first}\nfrom unvanish.diagnose import diagnose\nassert callable(diagnose)")
    assert done.returncode == 0, done.stderr


def test_setting_a_verb_to_a_module_is_what_the_facade_prevents() -> None:
    module = importlib.import_module("unvanish.diagnose")
    unvanish.diagnose = module  # what the import system does
    assert callable(unvanish.diagnose)


# ---------------------------------------------------------------------- version, metadata


def test_version_stands_in_one_place_and_in_the_changelog() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", unvanish.__version__)
    assert f"## [{unvanish.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_every_release_opens_with_changed_verdicts() -> None:
    releases = re.split(r"(?m)^## \[", (ROOT / "CHANGELOG.md").read_text())[1:]
    headings = [re.findall(r"(?m)^### (.+)$", release) for release in releases]
    assert headings
    assert all(names[0] == "Changed verdicts" for names in headings if names)


def test_types_are_shipped() -> None:
    assert (ROOT / "src" / "unvanish" / "py.typed").exists()


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "unvanish", "--version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert unvanish.__version__ in done.stdout


# ------------------------------------------------------------------------- constraints


def pins() -> dict[str, str]:
    """The names and versions of constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_constraints_are_plain_pins() -> None:
    for name, version in pins().items():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", name)
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), f"{name}: a local or open version"


def test_everything_asked_for_is_pinned() -> None:
    extras = PROJECT["optional-dependencies"].values()
    asked = [*PROJECT["dependencies"], *(name for extra in extras for name in extra)]
    names = {re.split(r"[\[>=<~! ]", line)[0] for line in asked} - {"unvanish"}
    assert names <= {name.lower() for name in pins()}


def test_torch_is_pinned_so_that_no_other_build_is_fetched() -> None:
    assert pins()["torch"] == "2.13.0"
