"""Runs in processes: the same numbers as here, and no process that a failure or Ctrl-C leaves."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import torch
from tests.prove.engines.problems import (
    Diary,
    ended,
    experiment,
    failures,
    jobs,
    lives,
    program,
    timeless,
    until,
)
from torch.utils.data import DataLoader

from unvanish.core.errors import UnvanishError
from unvanish.prove.engines import forking, running
from unvanish.prove.engines import local as local_engine
from unvanish.prove.engines.inline import Inline
from unvanish.prove.engines.local import Local

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks on Linux only")


@pytest.fixture
def many_threads() -> Iterator[None]:
    """Let torch start its threads, which no fork has."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    square = torch.randn(600, 600)
    (square @ square).relu().sum()
    yield
    torch.set_num_threads(before)


@linux
@pytest.mark.usefixtures("many_threads")
def test_forked_runs_are_equal_to_those_here_to_the_last_bit() -> None:
    here = timeless(Inline().run(experiment(), jobs(4, checkpoints=(2,), examined=True)))
    engine = Local(2)
    forked = timeless(engine.run(experiment(), jobs(4, checkpoints=(2,), examined=True)))
    assert forked == here
    assert all(run.metrics_at and run.end is not None for run in here)
    assert len({run.losses for run in here}) == 4
    assert engine.how == "2 forked processes at once, one for each run"


@pytest.mark.usefixtures("many_threads")
def test_here_a_run_has_one_thread_and_leaves_the_number_as_it_was() -> None:
    seen: list[int] = []
    runs = list(Inline().run(experiment(lambda _: seen.append(torch.get_num_threads())), jobs(2)))
    assert failures(runs) == ["", ""]
    assert seen == [1, 1]
    assert torch.get_num_threads() == 4


@linux
@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (lambda: os.kill(os.getpid(), 9), "was killed (signal 9); out of memory is the usual"),
        (lambda: os.kill(os.getpid(), 15), "was killed (signal 15)"),
        (lambda: os.kill(os.getpid(), 11), "crashed (signal 11) in compiled code"),
        (lambda: sys.exit(3), "the user's code called sys.exit(3)"),
        (sys.exit, "the user's code called sys.exit()"),
        (lambda: os._exit(4), "ended by itself with exit code 4"),
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda: input("name?"), "EOFError"),
    ],
)
def test_a_run_that_fails_does_not_take_the_others_with_it(trouble, said: str) -> None:
    broken = experiment(lambda seed: trouble() if seed == 1 else None)
    failed = failures(Local(2).run(broken, jobs(3)))
    assert failed[0] == failed[2] == ""
    assert said in failed[1]


@linux
def test_an_interrupt_of_the_users_own_ends_one_run() -> None:
    def raises(seed: int) -> None:
        if seed == 0:
            raise KeyboardInterrupt

    failed = failures(Local(1).run(experiment(raises), jobs(2)))
    assert failed == ["the process of this run ended by itself with exit code 1", ""]


@linux
def test_what_the_users_code_prints_stays_off_the_terminal(capfd) -> None:
    def talk(_: int) -> None:
        print("to stdout")
        print("to stderr", file=sys.stderr)
        os.write(1, b"around Python\n")
        os.write(2, b"around Python\n")

    assert failures(Local(2).run(experiment(talk), jobs(2))) == ["", ""]
    assert capfd.readouterr() == ("", "")


@linux
def test_no_number_is_lost_on_the_way() -> None:
    def no_number(output, target):
        return torch.nn.functional.cross_entropy(output, target) * math.inf

    (run,) = Local(1).run(experiment(loss=no_number), jobs(1))
    assert run.losses == (math.inf,)
    assert run.diverged == "the loss is inf at step 1"
    assert math.isnan(run.metric)
    assert math.isnan(run.validation)


@linux
def test_a_run_that_takes_too_long_is_stopped() -> None:
    slow = experiment(lambda seed: time.sleep(60) if seed == 0 else None)
    begun = time.monotonic()
    failed = failures(Local(2, limit_seconds=0.5).run(slow, jobs(3)))
    assert failed == ["this run was stopped after 0.5 seconds, the limit for one run", "", ""]
    assert time.monotonic() - begun < 10


@linux
@pytest.mark.usefixtures("many_threads")
def test_code_that_asks_for_threads_gets_one_everywhere() -> None:
    greedy = experiment(lambda _: torch.set_num_threads(3), loss=_large)
    forked = timeless(Local(2, limit_seconds=20).run(greedy, jobs(2)))
    assert forked == timeless(Inline().run(greedy, jobs(2)))
    assert [run.failed for run in forked] == ["", ""]
    assert torch.get_num_threads() == 4


def _large(output, target):
    """A loss that is worth several threads."""
    square = torch.ones(400, 400)
    return torch.nn.functional.cross_entropy(output, target) + 0 * (square @ square).relu().sum()


@linux
def test_a_run_that_hangs_is_stopped(monkeypatch) -> None:
    monkeypatch.setattr(forking, "_HANGS", 0.6)
    hanging = experiment(lambda seed: threading.Event().wait() if seed == 0 else None)
    failed = failures(Local(2).run(hanging, jobs(2)))
    assert failed == ["the process of this run did nothing for 0.6 seconds, and was stopped", ""]


@linux
def test_a_run_that_works_for_long_is_not_taken_for_hanging(monkeypatch) -> None:
    monkeypatch.setattr(forking, "_HANGS", 0.6)

    def busy(_: int) -> None:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            pass

    assert failures(Local(1).run(experiment(busy), jobs(1))) == [""]


@linux
def test_closing_ends_every_process(tmp_path) -> None:
    diary = Diary(tmp_path)

    def slow_after_the_first(seed: int) -> None:
        diary(seed)
        if seed:
            time.sleep(60)

    runs = Local(3).run(experiment(slow_after_the_first), jobs(3))
    assert next(runs).job.seed == 0
    until(lambda: len(diary.lines) == 3)
    runs.close()
    assert not any(map(lives, diary.processes))


@linux
def test_an_engine_that_is_closed_stops_its_runs(tmp_path) -> None:
    diary = Diary(tmp_path)
    engine = Local(2)

    def slow_after_the_first(seed: int) -> None:
        diary(seed)
        if seed:
            time.sleep(60)

    runs = engine.run(experiment(slow_after_the_first), jobs(3))
    next(runs)
    engine.close()
    assert list(runs) == []
    assert not any(map(lives, diary.processes))


@linux
@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_no_process_survives_the_program(tmp_path, sign: signal.Signals, code: int) -> None:
    diary = Diary(tmp_path)

    def slow(seed: int) -> None:
        diary(seed)
        time.sleep(60)

    pid = program(lambda: list(Local(3).run(experiment(slow), jobs(3))))
    until(lambda: len(diary.lines) == 3)
    os.kill(pid, sign)
    assert ended(pid) == code
    until(lambda: not any(map(lives, diary.processes)), seconds=5)


@linux
def test_what_a_run_has_started_ends_with_it(tmp_path) -> None:
    diary = Diary(tmp_path)

    def with_helper(seed: int) -> None:
        program(lambda: (diary(seed), time.sleep(60)))
        until(lambda: diary.lines)

    assert failures(Local(1).run(experiment(with_helper), jobs(1))) == [""]
    until(lambda: not any(map(lives, diary.processes)), seconds=5)


@linux
def test_a_loader_with_workers_of_this_process_starts_its_own_in_a_run() -> None:
    rows = torch.arange(8.0).reshape(4, 2)
    loader = DataLoader(rows, batch_size=2, num_workers=1, persistent_workers=True)
    first = [batch.tolist() for batch in loader]

    def reads(_: int) -> None:
        for _ in range(2):
            assert [batch.tolist() for batch in loader] == first

    assert failures(Local(2).run(experiment(reads), jobs(3))) == ["", "", ""]
    assert [batch.tolist() for batch in loader] == first  # and its own workers are alive


@linux
def test_it_runs_in_a_thread_and_beside_threads_that_write() -> None:
    stop = threading.Event()

    def chatter() -> None:
        while not stop.is_set():
            print("x", file=sys.stderr, flush=True)

    found: list[str] = []
    talking = threading.Thread(target=chatter)
    talking.start()
    work = threading.Thread(
        target=lambda: found.extend(
            failures(Local(2).run(experiment(lambda _: print("y", file=sys.stderr)), jobs(8)))
        )
    )
    work.start()
    work.join(30)
    stop.set()
    talking.join()
    assert found == [""] * 8


@linux
def test_without_room_for_a_process_the_runs_are_done_here(monkeypatch) -> None:
    whole = timeless(Inline().run(experiment(), jobs(3)))
    forks = iter([os.fork, os.fork])

    def fork() -> int:
        try:
            return next(forks)()
        except StopIteration:
            raise BlockingIOError(11, "Resource temporarily unavailable") from None

    monkeypatch.setattr(os, "fork", fork)
    assert timeless(Local(2).run(experiment(), jobs(3))) == whole


@linux
def test_a_fork_that_cannot_train_is_found_out_first(monkeypatch) -> None:
    monkeypatch.setattr(forking, "_PATIENCE", 0.3)
    assert forking.unfit() == ""
    monkeypatch.setattr(forking, "_tiny_step", lambda: time.sleep(60))
    assert forking.unfit() == "a forked process hangs at its first step"
    monkeypatch.setattr(forking, "_tiny_step", lambda: os._exit(0))
    assert forking.unfit() == "a forked process does not survive its first step"


def test_what_can_be_given_to_no_other_process_runs_here(monkeypatch) -> None:
    held = threading.Lock()
    bound = experiment(lambda _: held.locked())
    monkeypatch.setattr(forking, "unfit", lambda: "forking is not safe on here")
    engine = Local(3)
    assert timeless(engine.run(bound, jobs(2))) == timeless(Inline().run(bound, jobs(2)))
    assert engine.jobs == 1
    assert engine.how.startswith(
        "in this process, one run after the other: forking is not safe on here, and it cannot be "
        "pickled (TypeError: "
    )


def test_a_network_on_another_device_stays_in_this_process(monkeypatch) -> None:
    monkeypatch.setattr(local_engine, "foreign_device", lambda _: "cuda")
    engine = Local(3)
    assert failures(engine.run(experiment(), jobs(2))) == ["", ""]
    assert (engine.jobs, engine.how) == (
        1,
        "in this process, one run after the other: the network is on cuda",
    )


def test_the_device_is_read_off_the_data() -> None:
    assert running.foreign_device(experiment()) == ""


@pytest.mark.slow
def test_fresh_processes_give_the_same_numbers(monkeypatch) -> None:
    monkeypatch.setattr(forking, "unfit", lambda: "told so")
    engine = Local(2, limit_seconds=30)
    failing = experiment(lambda seed: os.kill(os.getpid(), 9) if seed == 1 else None)
    runs = timeless(engine.run(failing, jobs(4)))
    assert engine.how == "2 fresh processes at once: told so"
    assert "signal 9" in runs[1].failed
    here = timeless(Inline().run(experiment(), jobs(4)))
    assert [runs[0], *runs[2:]] == [here[0], *here[2:]]


@pytest.mark.slow
def test_fresh_processes_that_cannot_open_the_experiment_are_done_without(
    monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(forking, "unfit", lambda: "told so")
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    engine = Local(2)
    assert failures(engine.run(experiment(), jobs(3))) == [""] * 3
    assert engine.how.endswith(
        "a fresh process cannot take the experiment: it ended with exit code 7"
    )


@pytest.mark.parametrize("jobs", [0, -3])
def test_no_runs_at_once_are_refused(jobs: int) -> None:
    with pytest.raises(UnvanishError, match="runs at once make no trial"):
        Local(jobs)


def test_a_limit_has_to_be_above_zero() -> None:
    with pytest.raises(UnvanishError, match="cannot be limited to 0 seconds"):
        Local(limit_seconds=0)


def test_the_quota_of_a_container_counts(monkeypatch, tmp_path) -> None:
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(running, "_QUOTA", quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    assert running.usable_processors() == 64
    for text, count in [("max 100000", 64), ("250000 100000", 2), ("50000 100000", 1)]:
        quota.write_text(text)
        assert running.usable_processors() == count
