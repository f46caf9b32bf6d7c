"""`unvanish export`, and `unvanish show` of a run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.core.runs import fill, small_run
from tests.show.test_run_json import DIAGNOSIS

from unvanish.cli import app
from unvanish.core.findings import Diagnosis
from unvanish.core.runfile import RunWriter
from unvanish.core.runs import RunRecording
from unvanish.core.verdicts import Clear
from unvanish.sinks import BUILTIN_SINKS


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return small_run(tmp_path / "run.sqlite")


# ------------------------------------------------------------------------------- export


def test_the_help_lists_every_sink() -> None:
    text = run("export", "--help").stdout
    for sink in BUILTIN_SINKS:
        assert f"  {sink.name:<14} {sink.summary}\n" in text


@pytest.mark.parametrize("name", ["csv", "jsonl", "opentelemetry", "prometheus"])
def test_a_file_beside_the_shell(recorded: Path, name: str) -> None:
    result = run("export", recorded, "--to", name)
    assert result.exit_code == 0, result.output
    written = result.stdout.removeprefix("wrote ").strip()
    assert written.startswith("run.")
    assert result.stdout.count("\n") == 1
    assert run("export", recorded, "--to", name, "--output", "-").stdout == Path(written).read_text(
        encoding="utf-8"
    )


def test_a_run_that_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    writer = fill(RunWriter("run.sqlite"))
    result = run("export", "run.sqlite", "--to", "csv", "--output", "sub.csv")
    assert result.stdout == "wrote sub.csv\n"
    assert len(Path("sub.csv").read_text().splitlines()) == 19
    writer.close()


def test_wrong_use(recorded: Path) -> None:
    result = run("export", recorded, "--to", "excel")
    assert result.exit_code == 2
    assert "a run cannot be exported to 'excel', only to csv" in result.stderr
    result = run("export", recorded, "--to", "parquet", "--output", "-")
    assert result.exit_code == 2
    assert "--output - goes with text, and parquet is none" in result.stderr
    result = run("export", recorded)
    assert result.exit_code == 2
    assert "--to" in result.stderr
    result = run("export", "nowhere", "--to", "csv")
    assert result.exit_code == 2
    assert "the recording cannot be read: No such file" in result.stderr
    Path("other.json").write_text("{}")
    result = run("export", "other.json", "--to", "csv")
    assert result.exit_code == 2
    assert "this is not the recording of a run" in result.stderr


# --------------------------------------------------------------------------------- show


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Put known rules and a known view in place of the real ones."""
    state: dict[str, Any] = {"diagnosis": DIAGNOSIS}

    def diagnose_run(run: RunRecording) -> Diagnosis:
        state["run"] = run
        return state["diagnosis"]

    def run_text(run: RunRecording, diagnosis: Diagnosis, **how: Any) -> str:
        state["how"] = how
        return f"{run.last_step} {diagnosis.worst}"

    for name, function in (
        ("unvanish.diagnose.running", diagnose_run),
        ("unvanish.show.run", run_text),
    ):
        module = ModuleType(name)
        setattr(module, function.__name__, function)
        monkeypatch.setitem(sys.modules, name, module)
    return state


def test_show_as_text(recorded: Path, judged: dict[str, Any]) -> None:
    result = run("show", recorded, "-v")
    assert (result.exit_code, result.stdout) == (1, "4 error\n")
    assert judged["how"] == {"width": 80, "color": False, "ascii": False, "verbose": True}


def test_show_as_json(recorded: Path, judged: dict[str, Any]) -> None:
    result = run("show", recorded, "--format", "json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert (document["kind"], document["worst"], document["last_step"]) == ("run", "error", 4)
    assert judged["run"].is_ended


def test_exit_codes(recorded: Path, judged: dict[str, Any]) -> None:
    clear = Diagnosis({"UV604": Clear(1.0, "fraction", "fine")})
    judged["diagnosis"] = clear
    assert run("show", recorded).exit_code == 0
    judged["diagnosis"] = Diagnosis()
    assert run("show", recorded).exit_code == 3
    judged["diagnosis"] = Diagnosis({**clear.verdicts, "UV609": DIAGNOSIS.verdicts["UV609"]})
    assert run("show", recorded).exit_code == 3


def test_show_of_a_damaged_run(recorded: Path) -> None:
    recorded.write_bytes(recorded.read_bytes()[:5000])
    result = run("show", recorded, "--format", "json")
    assert result.exit_code == 2
    assert "damaged" in json.loads(result.stdout)["error"]["what"]


@pytest.mark.parametrize("option", ["--select=UV6", "--layer=head"])
def test_options_that_belong_to_a_check(recorded: Path, option: str) -> None:
    result = run("show", recorded, option)
    assert result.exit_code == 2
    assert "go with the report of a check" in result.stderr


WITHOUT_TORCH = """
import subprocess
import sys
sys.modules["torch"] = None
sys.argv = ["unvanish", *sys.argv[1:]]
from unvanish.cli import main
main()
"""


@pytest.mark.parametrize("command", [["show"], ["export", "--to", "csv", "--output", "-"]])
def test_no_torch_is_needed(recorded: Path, command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, command[0], str(recorded), *command[1:]],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 1, 3), done.stderr
    assert "generator" in done.stdout
    assert done.stderr == ""
