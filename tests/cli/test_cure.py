"""`unvanish cure`: exit codes, formats, files, bad input, what reaches the trial."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.curing.networks import SOURCE
from tests.show import cures

from unvanish.cli import app
from unvanish.cli.progress import shown_progress
from unvanish.core.cures import Cure
from unvanish.core.errors import BatchError
from unvanish.core.proofs import Conclusion
from unvanish.core.reports import load_cure, save_cure
from unvanish.prove.running import Progress

Fake = Callable[..., dict[str, Any]]


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["cure", *args])


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Return a cure written by hand in place of a trial, and keep what was asked for."""

    def answering(cure: Cure) -> dict[str, Any]:
        asked: dict[str, Any] = {}

        def made(target: str, **options: Any) -> Cure:
            asked.update(options, target=target)
            for done in range(3):
                options["progress"](Progress(stage="control", done=done, total=2, seconds_left=1.0))
            return cure

        monkeypatch.setattr("unvanish.curing.chain.cure", made)
        return asked

    return answering


def test_the_text_and_the_progress(answer: Fake) -> None:
    answer(cures.cure())
    result = run("model.py:Net")
    assert result.exit_code == 0
    assert "cured: the network as it is does not learn" in result.stdout
    command = "unvanish cure model.py:Net --data digits --budget 300steps --write"
    assert command in " ".join(result.stdout.replace("\\\n", " ").split())
    assert result.stderr == (
        "checking model.py:Net, and trying remedies on copies\n"
        "control: the network as it is: 2 runs\n"
    )


def test_json_is_alone_on_stdout_and_stderr_is_silent(answer: Fake) -> None:
    answer(cures.cure())
    result = run("model.py", "--format", "json")
    assert json.loads(result.stdout)["verdict"] == "cured"
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("conclusion", "code"),
    [
        (Conclusion.HEALTHY, 0),
        (Conclusion.CURED, 0),
        (Conclusion.IMPROVED, 0),
        (Conclusion.NO_EFFECT, 1),
        (Conclusion.HARMED, 1),
        (Conclusion.INCONCLUSIVE, 1),
        (Conclusion.CANNOT, 3),
    ],
)
def test_the_exit_code_follows_the_verdict(answer: Fake, conclusion: Conclusion, code: int) -> None:
    answer(cures.cure(conclusion=conclusion))
    assert run("model.py").exit_code == code


def test_an_interrupted_trial_is_told_before_it_ends(answer: Fake, tmp_path: Path) -> None:
    answer(cures.undecided())
    result = run("model.py", "--write", "--output", str(tmp_path / "part.json"))
    assert result.exit_code == 130
    assert "inconclusive, as far as it came" in result.stdout
    assert load_cure(tmp_path / "part.json").proof is not None


def test_every_option_reaches_the_trial(answer: Fake) -> None:
    asked = answer(cures.well())
    result = run(
        *("net.py", "--data", "csv:a.csv", "--budget", "60s", "--seeds", "7", "--remedy", "he"),
        *("--remedy", "relu", "--keep-architecture", "--engine", "inline", "--jobs", "2"),
        *(
            "--no-resume",
            "--seed",
            "4",
            "--device",
            "cpu",
            "--input-shape",
            "3,8",
            "--classes",
            "5",
        ),
    )
    assert result.exit_code == 0
    asked.pop("progress")
    assert asked == {
        "target": "net.py",
        "data": "csv:a.csv",
        "budget": "60s",
        "seeds": 7,
        "remedy": ("he", "relu"),
        "keep_architecture": True,
        "engine": "inline",
        "jobs": 2,
        "resume": False,
        "seed": 4,
        "device": "cpu",
        "input_shape": (3, 8),
        "classes": 5,
        "steps": None,
    }


def test_a_patient_of_the_zoo_is_trained_as_long_as_it_needs(answer: Fake) -> None:
    from unvanish.zoo.patient import patient_of

    asked = answer(cures.well())
    assert run("zoo:deep_sigmoid").exit_code == 0
    assert asked["steps"] == patient_of("deep_sigmoid").steps


def test_a_report_is_saved_and_shown_again(answer: Fake, tmp_path: Path) -> None:
    answer(cures.cure())
    path = str(tmp_path / "run.json")
    first = run("model.py:Net", "--output", path)
    shown = CliRunner().invoke(app, ["show", path])
    assert shown.exit_code == 0
    assert shown.stdout == first.stdout
    assert f"show: unvanish show {path}" in " ".join(shown.stdout.replace("\\\n", " ").split())
    document = json.loads(CliRunner().invoke(app, ["show", path, "--format", "json"]).stdout)
    assert document["verdict"] == "cured"


@pytest.mark.parametrize("format_", ["text", "json"])
def test_a_report_opens_without_torch(tmp_path: Path, format_: str) -> None:
    save_cure(cures.cure(), tmp_path / "run.json")
    code = (
        "import sys; sys.modules['torch'] = None\nfrom unvanish.cli import app; app(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "show", "run.json", "--format", format_],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "the network as it is does not learn" in done.stdout


def test_a_damaged_report_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    save_cure(cures.cure(), path)
    path.write_text(path.read_text().replace('"conclusion":"cured"', '"conclusion":"grand"', 1))
    result = CliRunner().invoke(app, ["show", str(path)])
    assert result.exit_code == 2
    assert "error: the cure is damaged: 'grand' is not a valid Conclusion" in result.stderr
    assert f"--> {path}" in result.stderr


def test_selecting_rules_of_a_cure_is_refused(tmp_path: Path) -> None:
    save_cure(cures.cure(), tmp_path / "run.json")
    result = CliRunner().invoke(app, ["show", str(tmp_path / "run.json"), "--select", "UV101"])
    assert result.exit_code == 2
    assert "--select and --layer go with the report of a check" in result.stderr


def test_a_report_as_the_target_takes_no_trial(
    answer: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answer(cures.well())
    monkeypatch.chdir(tmp_path)
    save_cure(cures.cure(), "run.json")
    result = run("run.json")
    assert result.exit_code == 0
    assert "cured: the network" in result.stdout
    assert "write: unvanish cure run.json --write" in result.stdout
    assert asked == {}
    refused = run("run.json", "--budget", "60s")
    assert refused.exit_code == 2
    assert "--budget is for a trial, and run.json is the report of one" in refused.stderr
    assert "unvanish cure model.py:Net --budget ..." in refused.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seeds", "0"], "0 is not in the range"),
        (["--output", "nowhere/run.json"], "there is no folder nowhere for --output"),
        (["--write"], "a network of the zoo is a part of unvanish"),
        (["--save", "full"], "the folder holds other things: mine.txt"),
    ],
)
def test_what_could_not_be_written_is_said_before_the_work(
    answer: Fake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    asked = answer(cures.cure())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    result = run("zoo:deep_sigmoid", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert asked == {}


def test_writing_nothing_is_said(answer: Fake) -> None:
    answer(cures.well())
    result = run("net.py", "--write")
    assert result.exit_code == 0
    assert "note: nothing was written: nothing is to be changed" in result.stderr


def test_what_is_not_proven_is_not_written(answer: Fake) -> None:
    answer(cures.untried())
    result = run("net.py", "--write")
    assert result.exit_code == 3
    assert "note: nothing was written: nothing is proven" in result.stderr
    assert "write: unvanish fix model.py:Net --remedy he --remedy relu --write" in result.stdout


def test_errors_are_told_as_documents_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(target: str, **options: Any) -> Cure:
        del options
        raise BatchError("the data give no batch", where=target, help="def data(): ...")

    monkeypatch.setattr("unvanish.curing.chain.cure", failing)
    result = run("net.py", "--format", "json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["what"] == "the data give no batch"


def test_help_names_every_verdict() -> None:
    words = CliRunner().invoke(app, ["cure", "--help"]).stdout
    assert "healthy, cured or improved" in words
    assert "--keep-architecture" in words


def test_the_real_thing_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(SOURCE)
    result = run(
        *("net.py", "--remedy", "batch-norm", "--budget", "30steps", "--seeds", "3"),
        *("--engine", "inline", "--no-resume", "--format", "json", "--write", "--save", "out"),
    )
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["verdict"] in {"cured", "improved"}
    assert document["remedies"] == ["batch-norm"]
    assert document["written"] == ["net.py"]
    assert document["saved"] == "out"
    assert document["check"]["verdicts"]["UV101"] == "clear"
    assert "BatchNorm1d" in (tmp_path / "net.py").read_text()
    assert "+        self.layers = nn.ModuleList(nn.Sequential(" in document["patch"]


def test_nobody_who_looks_is_shown_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress("net.py", quiet=True) as told:
        told(Progress(stage="proof", done=0, total=3))
    assert capsys.readouterr().err == ""
    with shown_progress("net.py", quiet=False) as told:
        told(Progress(stage="proof", done=0, total=1))
        told(Progress(stage="proof", done=1, total=1))
    said = "checking net.py, and trying remedies on copies\nproof: 1 run\n"
    assert capsys.readouterr().err == said


def test_a_bar_vanishes_and_leaves_the_streams_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    before = (sys.stdout, sys.stderr)
    with shown_progress("net.py", quiet=True) as told:
        told(Progress(stage="control", done=0, total=2))
        told(Progress(stage="control", done=1, total=2, seconds_left=3.0))
        assert (sys.stdout, sys.stderr) == before
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "1/2 runs" in shown.err
    assert "about 3.0 s left" in shown.err
