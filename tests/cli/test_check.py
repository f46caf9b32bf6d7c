"""`unvanish check` and `unvanish demo`: output, exit codes, errors."""

import json
import os
import re

import pytest
from click.testing import CliRunner

from unvanish.cli import app
from unvanish.core.errors import CouldNotMeasureError
from unvanish.core.findings import Diagnosis, Finding, Severity
from unvanish.core.records import Recording
from unvanish.core.verdicts import Clear, Found, NotMeasured

HEALTHY = """
    import torch
    from torch import nn

    def model():
        print("building")
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))

    def batch():
        print("a batch")
        x = torch.randn(32, 6)
        return x, x[:, :3].argmax(dim=1)
"""


def run(*args):
    return CliRunner().invoke(app, args)


@pytest.fixture
def fake(monkeypatch, write):
    """Let the check come out as the test wants it."""
    write("net.py", HEALTHY)

    def set_outcome(outcome):
        def checkup(recipe, **_):
            from unvanish.api import Report

            if isinstance(outcome, BaseException):
                raise outcome
            verdicts = {f"UV10{i}": verdict for i, verdict in enumerate(outcome)}
            names = dict.fromkeys(verdicts, "a-rule")
            return Report(recipe.target, Recording(), Diagnosis(verdicts, names))

        monkeypatch.setattr("unvanish.api.checkup", checkup)

    return set_outcome


def found(severity):
    finding = Finding(code="UV100", name="a-rule", severity=severity, message="it is sick")
    return Found((finding,))


@pytest.mark.parametrize(
    ("verdicts", "fail_on", "code"),
    [
        ([Clear()], "warning", 0),
        ([found(Severity.NOTE)], "warning", 0),
        ([found(Severity.NOTE)], "note", 1),
        ([found(Severity.WARNING)], "warning", 1),
        ([found(Severity.WARNING)], "error", 0),
        ([found(Severity.ERROR)], "error", 1),
        ([found(Severity.ERROR), NotMeasured("x")], "error", 1),
        ([found(Severity.NOTE), NotMeasured("x")], "warning", 3),
        ([Clear(), NotMeasured("x")], "warning", 3),
        ([], "warning", 3),
    ],
)
def test_exit_codes(fake, verdicts, fail_on, code):
    fake(verdicts)
    result = run("check", "net.py", "--fail-on", fail_on)
    assert result.exit_code == code
    assert f"exit {code}" in result.stdout


def test_default_is_to_fail_on_a_warning(fake):
    fake([found(Severity.WARNING)])
    assert run("check", "net.py").exit_code == 1


def test_healthy_network_is_clear(write):
    write("net.py", HEALTHY)
    result = run("check", "net.py")
    assert result.exit_code == 0, result.output
    assert "net.py" in result.stdout
    assert "building" in result.stderr
    assert "building" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "\x1b" not in result.stdout


def test_json_is_clean_and_complete(write):
    write("net.py", HEALTHY)
    result = run("check", "net.py", "--format", "json")
    document = json.loads(result.stdout)
    assert document["schema"] == 1
    assert document["target"] == "net.py"
    assert document["worst"] == "clear"
    assert set(document) >= {"verdicts", "findings", "context"}


def without_times(document):
    return json.loads(re.sub(r'"seconds": [^,\n}]+', '"seconds": 0', json.dumps(document)))


def test_same_seed_same_json(write):
    write("net.py", HEALTHY)
    documents = [
        without_times(json.loads(run("check", "net.py", "--format", "json", "--seed", s).stdout))
        for s in ("3", "3", "4")
    ]
    assert documents[0] == documents[1]
    assert documents[0]["context"]["loss_value"] != documents[2]["context"]["loss_value"]


def test_colour_on_request_only(write):
    write("net.py", HEALTHY)
    colored = run("check", "net.py", "--color", "always").stdout
    assert "\x1b[" in colored
    plain = run("check", "net.py", "--color", "never").stdout
    assert "\x1b" not in plain


def test_select(write):
    write("net.py", HEALTHY)
    result = run("check", "net.py", "--select", "uv403, UV501", "--format", "json")
    assert set(json.loads(result.stdout)["verdicts"]) == {"UV403", "UV501"}


def test_unknown_rule_is_told_before_the_work():
    result = run("check", "no_such.py", "--select", "UV40E")
    assert result.exit_code == 2
    assert "error: there is no rule 'UV40E'" in result.stderr


def test_options_reach_the_check(write):
    write("net.py", "from torch import nn\nmodel = nn.Linear(4, 2)")
    args = "--input-shape 5x4 --classes 2 --batches 1 --probe-steps 0 --autocast bfloat16"
    result = run("check", "net.py", *args.split(), "--format", "json", "--seed", "5")
    context = json.loads(result.stdout)["context"]
    assert context["seed"] == 5
    assert context["probe_steps"] == 0
    assert context["autocast"] == "bfloat16"
    assert "inputs are random normal numbers of shape (32, 5, 4)" in context["inferred"]


def test_output_and_show(write):
    write("net.py", HEALTHY)
    saved = run("check", "net.py", "--output", "run.json", "--format", "json")
    shown = run("show", "run.json", "--format", "json")
    assert shown.exit_code == saved.exit_code == 0
    assert json.loads(shown.stdout) == json.loads(saved.stdout)
    assert "net.py" in run("show", "run.json").stdout


def test_output_folder_missing_is_told_before_the_work():
    result = run("check", "no_such.py", "--output", "nowhere/run.json")
    assert result.exit_code == 2
    assert "help: mkdir -p nowhere" in result.stderr


@pytest.mark.parametrize("content", [None, "{}", "not json"])
def test_show_what_is_no_recording(write, content):
    if content is not None:
        write("run.json", content)
    else:
        write("other.json", "")
    result = run("show", "run.json")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "--> run.json" in result.stderr


def test_error_in_rustc_style(write):
    write("net.py", "import helper\nx = 1")
    write("helper.py", "def go():\n    raise ValueError('bad number')\ngo()")
    result = run("check", "net.py")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "error: importing net.py raised ValueError: bad number",
        "  --> helper.py:2 in go: raise ValueError('bad number')",
        "      helper.py:3 in <module>: go()",
        "      net.py:1 in <module>: import helper",
    ]


def test_error_in_json_is_on_stdout_too(write):
    write("net.py", "print('noise')\nfrom torch import nn\ndef build_model(size): 0")
    result = run("check", "net.py", "--format", "json")
    assert result.exit_code == 2
    document = json.loads(result.stdout)
    assert document["schema"] == 1
    assert document["error"]["what"].startswith("build_model needs 1 argument")
    assert document["error"]["where"] == "net.py:3"
    assert "def model(): return build_model(size=...)" in document["error"]["help"]
    assert "error: build_model" in result.stderr


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("batch = torch.randn(3, 7), torch.zeros(3).long()", r"7"),
        ("batch = torch.zeros(0, 4), torch.zeros(0).long()", r"(?i)empty|no sample"),
        ("batch = torch.randn(3, 4)", r"(?i)loss|target"),
        (
            "model.requires_grad_(False)\nbatch = torch.randn(3, 4), torch.zeros(3).long()",
            r"(?i)trainable|parameter",
        ),
    ],
)
def test_what_cannot_be_measured_is_an_error_without_traceback(write, body, what):
    write("net.py", f"import torch\nfrom torch import nn\nmodel = nn.Linear(4, 2)\n{body}")
    result = run("check", "net.py")
    assert result.exit_code in {2, 3}
    assert re.search(what, result.output)
    assert "Traceback" not in result.output
    assert "unvanish itself failed" not in result.output


def test_a_batch_of_nan_is_a_finding(write):
    batch = "torch.full((3, 4), float('nan')), torch.zeros(3).long()"
    write("net.py", f"import torch\nmodel = torch.nn.Linear(4, 2)\nbatch = {batch}")
    result = run("check", "net.py")
    assert result.exit_code == 1
    assert "the input of the batch holds 12 NaN or infinite values of 12" in result.stdout


@pytest.mark.parametrize("shape", ["3,a", "", "0,3", "-1", ","])
def test_bad_shape_is_wrong_use(shape):
    result = run("check", "net.py", "--input-shape", shape)
    assert result.exit_code == 2
    assert "3,224,224" in result.stderr


def test_unknown_option_is_wrong_use():
    assert run("check", "net.py", "--speed", "9").exit_code == 2
    assert run("chek").exit_code == 2


def test_out_of_memory(fake):
    fake(CouldNotMeasureError("the check ran out of memory", help="--batches 1"))
    result = run("check", "net.py")
    assert result.exit_code == 3
    assert "help: --batches 1" in result.stderr


def test_out_of_memory_in_torch_is_one_message(write):
    write(
        "net.py",
        "import torch\nfrom torch import nn\nmodel = nn.Linear(4, 2)\n"
        "def batch(): raise torch.OutOfMemoryError('CUDA out of memory. Tried 3 GiB')",
    )
    result = run("check", "net.py")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: batch() ran out of memory\nhelp: ")


def test_interruption_is_quiet(fake):
    fake(KeyboardInterrupt())
    result = run("check", "net.py")
    assert result.exit_code == 130
    assert "Abort" not in result.output


def test_our_own_failure_is_one_line_and_a_command(fake, monkeypatch):
    fake(ZeroDivisionError("division by zero\nsecond line"))
    monkeypatch.delenv("UNVANISH_TRACEBACK", raising=False)
    monkeypatch.setattr("sys.argv", ["unvanish", "check", "net.py"])
    result = run("check", "net.py")
    assert result.exit_code == 3
    assert result.stderr.splitlines()[-2:] == [
        "error: unvanish itself failed, please report it: ZeroDivisionError: division by zero",
        "help: UNVANISH_TRACEBACK=1 unvanish check net.py   shows the traceback to report",
    ]


def test_traceback_on_request(fake, monkeypatch):
    fake(ZeroDivisionError("division by zero"))
    monkeypatch.setenv("UNVANISH_TRACEBACK", "1")
    assert isinstance(run("check", "net.py").exception, ZeroDivisionError)


def test_warnings_are_held_back_and_counted(write):
    write(
        "net.py",
        HEALTHY + "\n    import warnings\n    warnings.warn('old way')\n    warnings.warn('older')",
    )
    result = run("check", "net.py")
    assert result.exit_code == 0
    assert "old way" not in result.stdout
    assert "note: 2 warnings were held back, the first: UserWarning: old way" in result.stderr
    assert "held back" not in run("check", "net.py", "--format", "json").stderr


def test_demo_cures_a_patient_of_ours(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "unvanish.cli.cure.run_cure", lambda options, *_, **__: asked.append(options) or 0
    )
    result = run("demo", "--format", "json")
    assert result.exit_code == 0
    assert [options.target for options in asked] == ["zoo:deep_sigmoid"]
    assert result.stderr.count("\n") == 1
    assert "unvanish cure zoo:deep_sigmoid" in result.stderr


def test_the_environment_of_the_process_is_left_alone(write):
    before = dict(os.environ)
    write("net.py", HEALTHY)
    run("check", "net.py")
    assert dict(os.environ) == before


def test_control_characters_are_escaped(write):
    write("net.py", "raise ValueError('\\x1b[31mred\\x07')")
    stderr = run("check", "net.py").stderr
    assert "\\x1b[31mred\\x07" in stderr
    assert "\x1b" not in stderr


@pytest.mark.parametrize("words", [["--format", "json"], ["--format=json"]])
def test_wrong_use_is_a_document_too(words):
    result = run("check", "net.py", "--speed", *words)
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["what"].startswith("No such option")
    assert error["help"].endswith("check --help")
