"""`unvanish run` on scripts that train: what is found, recorded and said."""

import atexit
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from unvanish.cli import main
from unvanish.cli.live import LiveLine
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runfile import read_run
from unvanish.core.runs import EventKind

EXAMPLES = Path(__file__).parents[2] / "examples" / "watching"

LOOP = """
    import sys
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(int(sys.argv[1])):
        optimizer.zero_grad()
        loss = model(torch.randn(16, 4)).pow(2).mean()
        loss.backward()
        optimizer.step()
        print(step, loss.item().hex())
"""


@pytest.fixture
def watched(monkeypatch, capfd):
    """Run the command in this process, and give back what it takes over."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    if compiled := sys.modules.get("torch._dynamo.eval_frame"):
        monkeypatch.setattr(compiled, "cached_backends", {})  # of other tests

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["unvanish"])
        monkeypatch.setattr(sys, "path", ["", *sys.path])
        code = 0
        try:
            main(["run", *words])
        except SystemExit as stop:
            code = stop.code
        except BaseException as error:
            code = error
        out, err = capfd.readouterr()
        return code, out, err

    return run


def alone(file, *words):
    """Run a script under Python, with as many threads as here."""
    threads = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    return subprocess.run(
        [sys.executable, file, *words], capture_output=True, text=True, env=threads, timeout=120
    )


def test_a_run_is_recorded_diagnosed_and_unchanged(write, watched):
    file = write("train.py", LOOP)
    code, out, err = watched(file, "30")
    assert code == 0
    assert out == alone(file, "30").stdout
    recording = read_run("unvanish-run.sqlite")
    assert recording.is_ended
    assert recording.conditions.target == "train.py 30"
    assert recording.last_step == 29
    assert [layer.path for layer in recording.layers if layer.parameters] == ["0", "2"]
    losses = [value for _, value in recording.over(StepQuantity.LOSS)]
    assert losses == [float.fromhex(line.split()[1]) for line in out.splitlines()]
    steps = [step for step, _ in recording.series(LayerQuantity.LOG10_PARAM_GRAD_RMS, 0)]
    assert {0, 1, 2, 4, 8, 16} <= set(steps)
    assert "30 steps" in err
    assert err.splitlines()[0] == "unvanish: watching; recording in unvanish-run.sqlite"
    assert "recording: unvanish-run.sqlite   (unvanish show unvanish-run.sqlite)" in err


def test_the_first_step_has_activations(write, watched):
    watched(write("train.py", LOOP), "1")
    recording = read_run("unvanish-run.sqlite")
    assert recording.series(LayerQuantity.LOG10_ACTIVATION_GRAD_RMS, 0)[0][0] == 0


def test_the_first_step_of_two_models_has_activations(tmp_path, monkeypatch, watched):
    monkeypatch.chdir(tmp_path)
    watched("-q", str(EXAMPLES / "gan.py"))
    recording = read_run("unvanish-run.sqlite")
    for layer in recording.layers:
        series = recording.series(LayerQuantity.LOG10_ACTIVATION_GRAD_RMS, layer)
        assert series[0][0] == 0, layer.path


def test_every_and_file_and_the_next_free_name(write, watched):
    file = write("train.py", LOOP)
    for _ in range(2):
        assert watched("--every", "3", "--quiet", file, "10")[0] == 0
    watched("--file", "own.sqlite", file, "2")
    assert read_run("unvanish-run-2.sqlite").conditions.every == 3
    assert read_run("own.sqlite").last_step == 1


def test_a_folder_that_cannot_be_written_keeps_the_run_in_memory(write, watched, monkeypatch):
    file = write("train.py", LOOP)
    monkeypatch.setattr("unvanish.cli.run.FILE", "gone/run.sqlite")
    code, _, err = watched(file, "3")
    assert code == 0
    assert "the recording is kept in memory" in err
    assert "3 steps" in err


def test_findings_change_the_exit_code_only_where_asked(write, watched):
    sick = LOOP.replace("lr=0.1", "lr=0.1 if len(sys.argv) < 3 else 1e6")
    file = write("train.py", sick)
    assert watched("-q", file, "60", "sick")[0] == 0
    code, _, err = watched("-q", "--fail-on", "warning", file, "60", "sick")
    assert code == 1
    assert "error[UV6" in err
    assert watched("-q", "--fail-on", "warning", file, "60")[0] == 0


def test_the_scripts_own_exit_code_goes_before_findings(write, watched):
    file = write("train.py", LOOP + "    raise SystemExit(7 if step else 0)\n")
    assert watched("--fail-on", "note", file, "5")[0] == 7


def test_a_script_that_raises_leaves_a_diagnosis(write, watched):
    file = write("train.py", LOOP + "\n    raise ValueError('after the loop')\n")
    code, _, err = watched(file, "10")
    assert isinstance(code, ValueError)  # Python would end with 1; its hook is muted
    assert err.count("ValueError: after the loop") >= 1
    assert err.index("Traceback") < err.index("10 steps")
    assert "unvanish/" not in err[: err.index("10 steps")]
    recording = read_run("unvanish-run.sqlite")
    assert not recording.is_ended
    stopped = [event.text for event in recording.events if event.kind is EventKind.STOPPED]
    assert stopped == ["ValueError: after the loop"]


def test_a_watch_that_fails_leaves_the_run_alone(write, watched, monkeypatch):
    file = write("train.py", LOOP)
    expected = alone(file, "5").stdout

    def broken(*_, **__):
        raise RuntimeError("no room")

    monkeypatch.setattr("unvanish.watch.observer.observe", broken)
    code, out, err = watched(file, "5")
    assert (code, out) == (0, expected)
    assert err == "unvanish: the run goes on unwatched: RuntimeError: no room\n"


def test_a_diagnosis_that_fails_does_not_change_the_exit_code(write, watched, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no rule")

    monkeypatch.setattr("unvanish.watch.observer.Watch.text", broken)
    code, _, err = watched(write("train.py", LOOP), "5")
    assert code == 0
    assert "unvanish: there is no diagnosis: RuntimeError: no rule" in err
    assert "(unvanish show unvanish-run.sqlite)" in err


def test_training_in_a_thread_is_waited_for(write, watched, monkeypatch):
    kept = []
    monkeypatch.setattr(atexit, "register", lambda *call: kept.append(call))
    source = LOOP.replace(
        "    import sys\n", "    import sys, threading, time\n    def train():\n", 1
    )
    head, body = source.split("def train():\n")
    indented = "\n".join(f"    {line}" if line.strip() else line for line in body.splitlines())
    threads = (
        "\n    one = threading.Thread(target=lambda: (time.sleep(0.3), train()))\n    one.start()\n"
    )
    code, _, err = watched(write("train.py", f"{head}def train():\n{indented}{threads}"), "5")
    assert code == 0
    assert "steps" not in err
    sys.modules["__main__"].one.join()
    for function, *arguments in kept:
        function(*arguments)
    assert read_run("unvanish-run.sqlite").last_step == 4


@pytest.mark.parametrize(
    ("name", "words", "models"),
    [
        ("plain_loop.py", ["--epochs", "1"], {""}),
        ("gan.py", [], {"generator", "discriminator"}),
        ("language_model.py", ["--steps", "3"], {""}),
    ],
)
def test_the_examples_as_they_are(name, words, models, tmp_path, monkeypatch, watched):
    monkeypatch.chdir(tmp_path)
    code, out, err = watched("-q", str(EXAMPLES / name), *words)
    assert code == 0, err
    assert "loss" in out
    recording = read_run("unvanish-run.sqlite")
    found = {layer.path.split("/")[0] for layer in recording.layers if "/" in layer.path}
    assert (found or {""}) == models
    assert len(recording.conditions.optimizers) == len(models)
    assert "unwatched" not in err


@pytest.mark.slow
def test_a_run_that_sickens_is_diagnosed_with_the_right_step(tmp_path, monkeypatch, watched):
    monkeypatch.chdir(tmp_path)
    code, _, err = watched("-q", "--fail-on", "error", str(EXAMPLES / "spike.py"))
    assert code == 1
    assert re.search(r"error\[UV6\d\d\]", err)
    assert "step 300" in err


# --- other processes -----------------------------------------------------------------


def command(*words):
    return [sys.executable, "-m", "unvanish", "run", *words]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_what_was_recorded_survives_a_signal(number, write):
    write("train.py", LOOP)
    process = subprocess.Popen(
        command("train.py", "1000000"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    file = Path("unvanish-run.sqlite")
    deadline = time.monotonic() + 60
    while not (file.exists() and read_run(file).last_step > 500) and time.monotonic() < deadline:
        time.sleep(0.2)
    before = read_run(file).last_step
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == -number
    recording = read_run(file)
    assert recording.last_step >= before > 500
    assert not recording.is_ended
    assert ("recording: unvanish-run.sqlite" in err) == (number is signal.SIGINT)


WORKERS = """
    import sys
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Dataset

    class Data(Dataset):
        def __len__(self):
            return 24

        def __getitem__(self, index):
            return torch.full((4,), index / 24), torch.tensor([float(index % 2)])

    def main():
        torch.manual_seed(0)
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        data = DataLoader(Data(), 4, num_workers=2, multiprocessing_context=sys.argv[1])
        for x, y in data:
            optimizer.zero_grad()
            loss = (model(x) - y).pow(2).mean()
            loss.backward()
            optimizer.step()
            print(loss.item().hex(), flush=True)

    if __name__ == "__main__":
        main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["fork", "spawn"])
def test_workers_of_a_data_loader(way, write):
    file = write("train.py", WORKERS)
    result = subprocess.run(command(file, way), capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert result.stdout == alone(file, way).stdout
    assert read_run("unvanish-run.sqlite").last_step == 5
    assert result.stderr.count("unvanish: watching") == 1
    assert not Path("unvanish-run-2.sqlite").exists()


DISTRIBUTED = """
    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    dist.init_process_group("gloo")
    torch.manual_seed(0)
    model = DistributedDataParallel(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(1 + dist.get_rank())
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).pow(2).mean().backward()
        optimizer.step()
    if dist.get_rank() == 0:
        print(sum(p.double().sum() for p in model.parameters()).item().hex())
    dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["ours", "their own"])
def test_two_processes(launcher, write):
    write("train.py", DISTRIBUTED)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = (
        command("--nproc", "2", "--every", "2", "train.py")
        if launcher == "ours"
        else [*torchrun, "-m", "unvanish", "run", "--every", "2", "train.py"]
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    expected, result = (
        subprocess.run(each, capture_output=True, text=True, timeout=120, env=environment)
        for each in ([*torchrun, "train.py"], words)
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == expected.stdout != ""
    assert result.stderr.count("unvanish: watching") == 1
    recording = read_run("unvanish-run.sqlite")
    assert recording.last_step == 4
    assert [layer.path for layer in recording.layers if layer.parameters] == ["0", "2"]
    conditions = recording.conditions
    assert (conditions.world_size, conditions.strategy, conditions.batch) == (2, "DDP", 16)
    assert conditions.unwatched == ()
    assert result.stderr.count("2 processes DDP") == 1
    assert [path.name for path in Path().glob("*.sqlite*")] == ["unvanish-run.sqlite"]


GIVES_UP = """
    import os
    import torch
    from torch import nn

    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.distributed.init_process_group("gloo")
    for step in range(5):
        if step == 3 and torch.distributed.get_rank() == 1:
            raise ValueError("no more")
        optimizer.zero_grad()
        model(torch.randn(8, 4)).pow(2).mean().backward()
        optimizer.step()
    import time
    time.sleep(60)
"""


@pytest.mark.slow
def test_one_of_two_that_gives_up_says_where_all_is(write):
    write("train.py", GIVES_UP)
    words = command("--nproc", "2", "--every", "1", "--file", "mine.sqlite", "train.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(words, capture_output=True, text=True, timeout=120, env=environment)
    assert result.returncode == 1
    assert "rank 1 gave up at step 2" in result.stderr
    assert "unvanish show mine.rank1.sqlite" in result.stderr
    shown = subprocess.run(
        [sys.executable, "-m", "unvanish", "show", "mine.sqlite"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "rank 1: ValueError: no more" in shown.stdout


# --- the live line -------------------------------------------------------------------


def test_lines_come_at_growing_intervals_elsewhere(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    line = LiveLine(quiet=False)
    for second in range(200):
        now[0] = float(second)
        line.show(100 * second, {"loss": 0.5})
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"unvanish: step {100 * second:,} · loss 0.5 · 100 steps/s"
        for second in (10, 20, 40, 80, 160)
    ]


def test_nothing_is_said_where_that_is_wanted(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    line = LiveLine(quiet=True)
    now[0] = 1e4
    line.show(3, {})
    line.clear()
    assert capsys.readouterr().err == ""


def test_the_live_line_leaves_the_cursor_where_it_was(capsys, monkeypatch):
    monkeypatch.setattr("unvanish.cli.live._can_steer", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    line = LiveLine(quiet=False)
    line.show(7, {"loss": float("nan"), "other": json})
    line.clear()
    line.clear()
    shown = capsys.readouterr().err
    assert shown == "\x1b7\x1b[74G\x1b[K\x1b[2mstep 7\x1b[22m\x1b8\x1b[K"
