"""The command line as a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import unvanish

PATHS = os.pathsep.join(str(Path(p).resolve()) for p in sys.path if p)


def run(*args, **options):
    return subprocess.run(
        [sys.executable, *args], capture_output=True, text=True, timeout=120, **options
    )


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["check", "--help"], ["explain"], ["explain", "UV403"]]
)
def test_torch_is_not_imported(words):
    code = (
        "import sys\nfrom unvanish.cli import main\n"
        f"try: main({words!r})\nexcept SystemExit as e: assert not e.code, e.code\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    result = run("-c", code)
    assert result.returncode == 0, result.stderr


def test_a_saved_report_opens_without_torch(tmp_path):
    from unvanish.core import codec
    from unvanish.core.records import Recording

    codec.save(Recording(), tmp_path / "run.json")
    code = (
        "import sys\nfrom unvanish.cli import main\n"
        f"try: main(['show', {str(tmp_path / 'run.json')!r}])\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    result = run("-c", code)
    assert result.returncode == 0, result.stderr
    assert "run.json" in result.stdout


def test_this_test_can_fail():
    code = "import sys, unvanish\nunvanish.trace\nassert 'torch' not in sys.modules"
    assert run("-c", code).returncode == 1


def test_version():
    result = run("-m", "unvanish", "--version")
    assert result.stdout == f"unvanish {unvanish.__version__}\n"


def test_a_reader_that_leaves_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "unvanish", "explain"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 0


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_interruption_exits_130(tmp_path):
    (tmp_path / "net.py").write_text(
        "import sys, time\nprint('in')\nsys.stdout.flush()\ntime.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "unvanish", "check", "net.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": PATHS,
        },
        # Under nohup the parent ignores the signal, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr.readline() == b"in\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    try:
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    assert (out, err.strip()) == (b"", b"")


def test_ascii_terminal(tmp_path):
    (tmp_path / "net.py").write_text("from torch import nn\nmodel = nn.Linear(4, 2)")
    env = {
        **os.environ,
        "PYTHONIOENCODING": "ascii",
        "PYTHONPATH": PATHS,
    }
    result = run("-m", "unvanish", "check", "net.py", cwd=tmp_path, env=env)
    assert result.returncode == 0, result.stderr
    assert result.stdout.isascii()


LOUD = """
import atexit, os, subprocess, sys
from torch import nn
os.write(1, b"raw\\n")
subprocess.run(["echo", "child"])
sys.__stdout__.write("python\\n")
atexit.register(print, "late")
os.makedirs("elsewhere", exist_ok=True)
os.chdir("elsewhere")
model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
"""


def shell(line, folder):
    env = {**os.environ, "PYTHONPATH": PATHS}
    return subprocess.run(
        ["sh", "-c", f"{sys.executable} -m unvanish {line}"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env=env,
    )


def test_stdout_holds_nothing_but_the_report(tmp_path):
    (tmp_path / "net.py").write_text(LOUD)
    result = shell("check net.py --format json --output run.json", tmp_path)
    assert json.loads(result.stdout)["target"] == "net.py"
    assert {"raw", "child", "python", "late"} <= set(result.stderr.split())
    assert (tmp_path / "run.json").is_file()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("explain >&-", 0),
        ("explain 2>&-", 0),
        ("explain >/dev/full", 3),
        ("--help >/dev/full", 3),
        ("check no.py >&-", 2),
        ("check no.py 2>&-", 2),
        ("check no.py 2>/dev/full", 2),
        ("check no.py --format json >&-", 2),
        ("check no.py --format json >/dev/full", 2),
        ("check no.py --format json >/dev/full 2>/dev/full", 2),
        ("check net.py >&- 2>&-", 0),
        ("check net.py --format json <&- >&-", 0),
        ("check net.py >/dev/full", 3),
    ],
)
def test_streams_that_are_closed_or_full(tmp_path, line, code):
    (tmp_path / "net.py").write_text(LOUD)
    result = shell(line, tmp_path)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    assert "Exception ignored" not in result.stderr
