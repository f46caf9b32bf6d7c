"""`unvanish run` as a process: whatever Python does with a script, it does."""

import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONPATH": ""}


def python(*words, **options):
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        timeout=120,
        env=ENVIRONMENT,
        **options,
    )


def watched(*words, **options):
    return python("-m", "unvanish", "run", *words, **options)


def ours(stderr):
    """Return what was written to stderr without the line that says that nothing was watched."""
    return re.sub(r"unvanish: nothing was watched: .*\n", "", stderr)


SCRIPTS = {
    "surroundings": """
        import sys
        print(__name__, __file__, __spec__, __package__, __builtins__.__name__, __cached__)
        print(sys.argv, sys.path[0], type(__loader__).__name__, sys.modules["__main__"].__file__)
        print("torch" in sys.modules, "numpy" in sys.modules, "rich" in sys.modules)
        print(sorted(globals()))
    """,
    "exit 3": "import sys; print('before'); sys.exit(3)",
    "exit none": "import sys; sys.exit()",
    "exit message": "import sys; sys.exit('no data')",
    "raises": """
        def inner(x):
            return 1 / x
        def outer():
            try:
                inner(0)
            except ZeroDivisionError as error:
                raise ValueError("outer") from error
        print("before")
        outer()
    """,
    "raises a group": """
        def one():
            raise ValueError("one")
        try:
            one()
        except ValueError as error:
            raise ExceptionGroup("several", [error, KeyError("two")])
    """,
    "syntax error": "print('never')\nx = = 1\n",
    "own excepthook": """
        import sys
        sys.excepthook = lambda kind, error, trace: print("HOOK", kind.__name__, error)
        raise RuntimeError("seen")
    """,
    "broken excepthook": """
        import sys
        def hook(*_):
            raise KeyError("hook")
        sys.excepthook = hook
        raise RuntimeError("seen")
    """,
    "at exit": """
        import atexit, pickle, __main__
        class Kept: pass
        kept = Kept()
        atexit.register(lambda: print("last", type(pickle.loads(pickle.dumps(kept))) is Kept))
        print("first")
    """,
    "leaves at once": "import os; print('flushed', flush=True); os._exit(7)",
    "interrupted": "raise KeyboardInterrupt",
    "signals": """
        import signal
        print([signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)])
    """,
    "terminated": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "handles SIGTERM": """
        import os, signal, sys
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
        os.kill(os.getpid(), signal.SIGTERM)
    """,
    "argparse": """
        import argparse
        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float)
        parser.add_argument("--every", type=int)
        parser.add_argument("rest", nargs="*")
        print(parser.parse_args())
    """,
    "forks": """
        import os, sys
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            print("child", flush=True)
            sys.exit(4)
        print("parent", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """,
    "thread": """
        import threading, time
        threading.Thread(target=lambda: (time.sleep(0.1), print("thread"))).start()
        print("main")
    """,
    "pool": """
        from concurrent.futures import ThreadPoolExecutor
        print(ThreadPoolExecutor(2).submit(int, "3").result())
    """,
    "random": "import random; random.seed(3); print(random.random(), hash('a') != 0)",
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_ends_as_under_python(name, write):
    from textwrap import dedent

    file = write("folder/script.py", dedent(SCRIPTS[name]))
    words = [file, "--lr", "0.1", "--every", "3", "--", "-q"]
    expected, found = python(*words), watched(*words)
    assert found.stdout == expected.stdout
    assert found.returncode == expected.returncode
    assert ours(found.stderr) == expected.stderr


def test_these_tests_can_fail(write):
    file = write("script.py", "import sys; sys.exit(3)")
    other = write("other.py", "raise ValueError")
    assert watched(file).returncode != python(other).returncode
    assert ours(watched(other).stderr) != python(file).stderr


def test_a_symbolic_link_to_a_script(write, tmp_path):
    write("real/helper.py", "NAME = 'helper'")
    write("real/script.py", "import helper, sys; print(helper.NAME, __file__, sys.argv)")
    Path("link.py").symlink_to(tmp_path / "real" / "script.py")
    assert watched("link.py").stdout == python("link.py").stdout != ""


@pytest.mark.parametrize(
    "words",
    [["-m", "package.train", "--lr", "1"], ["-m", "package", "-m", "x"], ["folder"], ["app.zip"]],
)
def test_modules_folders_and_zip_files(words, write):
    report = """
        import sys
        from {place} import VALUE
        print(VALUE, __name__, __spec__.name, __package__, sys.argv, sys.path[0])
    """
    write("package/__init__.py", "print('package', __import__('sys').argv)")
    write("package/values.py", "VALUE = 7")
    write("package/train.py", report.format(place=".values"))
    write("package/__main__.py", report.format(place="package.values"))
    write("folder/__main__.py", report.format(place="beside"))
    write("folder/beside.py", "VALUE = 8")
    with zipfile.ZipFile("app.zip", "w") as file:
        file.write("folder/__main__.py", "__main__.py")
        file.write("folder/beside.py", "beside.py")
    expected, found = python(*words), watched(*words)
    assert found.stdout == expected.stdout != "", found.stderr
    assert found.returncode == expected.returncode == 0


@pytest.mark.parametrize("words", [["spawn.py"], ["-m", "spawn"]])
def test_processes_that_the_script_spawns(words, write):
    write(
        "spawn.py",
        """
        import multiprocessing as mp

        class Number:
            def __init__(self, value):
                self.value = value

        def double(number):
            return Number(2 * number.value)

        print("import", __name__)
        if __name__ == "__main__":
            with mp.get_context("spawn").Pool(1) as pool:
                print([each.value for each in pool.map(double, [Number(1), Number(2)])])
        """,
    )
    expected, found = python(*words), watched(*words)
    assert sorted(found.stdout.splitlines()) == sorted(expected.stdout.splitlines())
    assert "[2, 4]" in found.stdout
    assert found.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_from_outside(number, write):
    write("waits.py", "import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "unvanish", "run", "waits.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == -number
    assert ("KeyboardInterrupt" in stderr) == (number == signal.SIGINT)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["missing.py"], "there is no file missing.py"),
        (["package.train"], "unvanish run -m package.train"),
        (["-m", "no.such.module"], "there is no module no.such.module"),
        (["--file", "there.sqlite", "there.py"], "--file there-2.sqlite"),
        (["--file", "nowhere/run.sqlite", "there.py"], "mkdir -p nowhere"),
        (["--every", "0", "there.py"], "Invalid value for '--every'"),
        (["--unknown", "there.py"], "No such option"),
        ([], "Missing argument 'SCRIPT'"),
    ],
)
def test_wrong_use(words, says, write):
    write("there.py", "print('ran')")
    write("there.sqlite", "taken")
    result = watched(*words)
    assert result.returncode == 2
    assert result.stdout == ""
    assert says in result.stderr


def test_a_module_that_lacks_another_is_pythons_error(write):
    write("package/__init__.py", "")
    write("package/train.py", "import not_installed_at_all")
    result = watched("-m", "package.train")
    assert result.returncode == 1
    assert "ModuleNotFoundError: No module named 'not_installed_at_all'" in result.stderr
    assert "unvanish/" not in result.stderr


def test_nothing_to_watch_is_said(write):
    write("script.py", "print('hello')")
    result = watched("script.py")
    assert result.stdout == "hello\n"
    assert result.stderr == "unvanish: nothing was watched: the script did not import torch\n"
