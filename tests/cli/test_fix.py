"""`unvanish fix`: the ranking, the edit, the exit code, bad input."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from unvanish.cli import app

SCRIPTS = Path(__file__).parent.parent / "treat" / "patch" / "scripts"


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["fix", *args])


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(SCRIPTS / "sequential.py", tmp_path / "net.py")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_edit_is_shown_and_nothing_is_written(desk: Path) -> None:
    before = (desk / "net.py").read_text()
    result = run("net.py", "--remedy", "he")
    assert result.exit_code == 1
    assert "error[UV101]" in result.stdout
    assert "fix: he" in result.stdout
    assert (
        '+            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")' in result.stdout
    )
    assert "gives the network that was tested" in result.stdout
    assert "unvanish fix net.py --remedy he --write" in result.stdout
    assert (desk / "net.py").read_text() == before
    assert [p.name for p in desk.glob("*.orig*")] == []


def test_the_edit_is_written_with_a_backup_and_checked(desk: Path) -> None:
    before = (desk / "net.py").read_text()
    result = run("net.py", "--remedy", "he", "--write")
    assert result.exit_code == 0
    assert "net.py was written; net.py.orig holds it as it was" in result.stdout
    assert "the file was checked again: clear" in result.stdout
    assert (desk / "net.py.orig").read_text() == before
    assert "kaiming_normal_" in (desk / "net.py").read_text()


def test_a_backup_is_never_overwritten(desk: Path) -> None:
    (desk / "net.py.orig").write_text("mine\n")
    assert run("net.py", "--remedy", "he", "--write").exit_code == 0
    assert (desk / "net.py.orig").read_text() == "mine\n"
    assert len(list(desk.glob("net.py.orig*"))) == 2


def test_uncommitted_changes_are_told(desk: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    for words in (["init", "-q"], ["add", "net.py"]):
        subprocess.run(["git", *words], cwd=desk, check=True)
    result = run("net.py", "--remedy", "he", "--write")
    assert "warning: net.py has changes that are not committed" in result.stdout


def test_json(desk: Path) -> None:
    result = run("net.py", "--remedy", "he", "--format", "json")
    document = json.loads(result.stdout)
    assert document["chosen"] == ["he"]
    assert document["patch"]["agrees"] is True
    assert document["patch"]["safety"] == "needs retraining"
    assert document["patch"]["files"][0]["path"] == "net.py"
    assert document["advice"]["before"]["findings"]["UV101"] == "error"
    assert document["written"] == []
    assert (desk / "net.py.orig").exists() is False


def test_a_healthy_network_is_left_alone(desk: Path) -> None:
    text = (desk / "net.py").read_text().replace("range(14)", "range(2)")
    (desk / "net.py").write_text(text)
    result = run("net.py")
    assert result.exit_code == 0
    assert result.stdout == "clear: nothing is wrong that a remedy could cure\n"


STEEP = """
import torch
from torch import nn

RATE = 30.0


def model():
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 3))


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)


def batch():
    torch.manual_seed(0)
    x = torch.randn(128, 20)
    return x, x[:, :3].argmax(1)
"""


def test_a_rate_that_blows_up_in_the_third_step_is_lowered_in_the_file(desk: Path) -> None:
    (desk / "net.py").write_text(STEEP)
    result = run("net.py", "--write")
    assert "fix: curvature-learning-rate" in result.stdout
    assert "cures UV404" in result.stdout
    assert "the file was checked again: clear" in result.stdout
    assert result.exit_code == 0
    assert "RATE = 30.0" not in (desk / "net.py").read_text()


def test_an_unknown_remedy(desk: Path) -> None:
    result = run(str(desk / "net.py"), "--remedy", "kaimin")
    assert result.exit_code == 2
    assert "error: there is no remedy 'kaimin'" in result.stderr
    assert "unvanish explain remedies" in result.stderr


def test_a_remedy_that_does_not_fit(desk: Path) -> None:
    result = run(str(desk / "net.py"), "--remedy", "forget-bias")
    assert result.exit_code == 2
    assert "forget-bias does not fit this network: no nn.LSTM" in result.stderr


def test_a_target_that_is_not_there(desk: Path) -> None:
    result = run(str(desk / "gone.py"))
    assert result.exit_code == 2
    assert "there is no file" in result.stderr


def test_check_ranks_remedies_under_its_findings(desk: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(desk / "net.py")])
    assert "tried on a copy, before any training" in result.stdout
    without = CliRunner().invoke(app, ["check", str(desk / "net.py"), "--remedies", "none"])
    assert "tried on a copy" not in without.stdout
