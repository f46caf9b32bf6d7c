"""The command line as a process of its own."""

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
    )
    assert process.stderr.readline() == b"in\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
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
