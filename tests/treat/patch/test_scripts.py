"""Ten scripts in ten styles: the edit is written, the file runs, and the check is clear."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from unvanish import fix
from unvanish.core.errors import UnvanishError
from unvanish.core.findings import Severity
from unvanish.core.patches import Safety

SCRIPTS = Path(__file__).parent / "scripts"
STYLES: dict[str, tuple[str, ...]] = {
    "configured": ("he",),
    "dataclass_config": ("batch-norm",),
    "decorated": ("he",),
    "factories": ("relu", "he"),
    "functional": (),
    "lightning_style": ("layer-norm",),
    "module_list": ("relu", "he"),
    "sequential": (),
    "shared_instance": ("relu", "he"),
    "two_files": (),
}
"""Script to the remedies that are asked for; none to have one chosen."""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(SCRIPTS, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("style", sorted(STYLES))
def test_a_script_is_edited_runs_and_checks_clear(desk: Path, style: str) -> None:
    before = (desk / f"{style}.py").read_text()
    found = fix(f"{style}.py", remedy=STYLES[style], write=True)
    assert found.patch is not None
    assert found.patch.agrees, found.patch.unsafe
    assert found.after is not None
    worrying = [f.code for f in found.after.findings if f.severity is not Severity.NOTE]
    assert not worrying
    for path, backup in zip(found.written, found.backups, strict=True):
        ast.parse(Path(path).read_text())
        if Path(path).stem == style:
            assert Path(backup).read_text() == before


def test_every_script_is_tried() -> None:
    assert set(STYLES) == {p.stem for p in SCRIPTS.glob("*.py")} - {"parts"}


def test_without_write_nothing_is_touched(desk: Path) -> None:
    before = {p: p.read_bytes() for p in desk.glob("*.py")}
    found = fix("functional.py", remedy=("relu", "he"))
    assert found.patch is not None
    assert found.patch.safety is Safety.RETRAIN
    diff = "\n".join(found.patch.files[0].diff())
    assert "+            x = torch.relu(layer(x))  # squashes" in diff
    assert {p: p.read_bytes() for p in desk.glob("*.py")} == before


def test_a_remedy_that_source_cannot_say_is_a_snippet() -> None:
    found = fix(str(SCRIPTS / "functional.py"), remedy="centre-and-unit-variance")
    assert found.patch is not None
    assert not found.patch.files
    assert "unvanish.treat(model" in found.patch.snippet
    assert found.patch.unsafe


def test_an_unknown_remedy_names_the_nearest() -> None:
    with pytest.raises(UnvanishError, match="there is no remedy 'hee'") as raised:
        fix(str(SCRIPTS / "functional.py"), remedy="hee")
    assert "he" in raised.value.where


def test_a_remedy_that_does_not_fit_says_why() -> None:
    with pytest.raises(UnvanishError, match="does not fit this network: no ReLU"):
        fix(str(SCRIPTS / "functional.py"), remedy="he")


def test_a_healthy_network_is_left_alone(desk: Path) -> None:
    text = (desk / "sequential.py").read_text().replace("range(14)", "range(2)")
    (desk / "healthy.py").write_text(text)
    found = fix("healthy.py", write=True)
    assert found.chosen is None
    assert found.advice.nothing
    assert (desk / "healthy.py").read_text() == text


def test_a_read_only_file_is_told_and_left(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    before = (desk / "sequential.py").read_text()
    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(UnvanishError, match="the file cannot be written: Permission denied"):
        fix("sequential.py", remedy="he", write=True)
    assert (desk / "sequential.py").read_text() == before
