"""What is finished is never lost and never done twice."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from tests.prove.engines.problems import (
    Diary,
    ended,
    experiment,
    failures,
    jobs,
    program,
    timeless,
    until,
)

from unvanish.core.errors import UnvanishError
from unvanish.core.proofs import Job, Run
from unvanish.prove.engines import journal as journals
from unvanish.prove.engines.inline import Inline
from unvanish.prove.engines.journal import Journal, default_folder
from unvanish.prove.engines.local import Local

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks on Linux only")


class Told:
    """An engine that returns what it was told, and remembers what it was asked."""

    name = "told"
    jobs = 1

    def __init__(self, **results: object) -> None:
        self.results = results
        self.asked: list[int] = []
        self.is_closed = False

    def run(self, experiment, jobs):  # noqa: ARG002
        try:
            for job in jobs:
                self.asked.append(job.seed)
                yield Run(job=job, **{"metric": 0.1 * job.seed, **self.results})
        finally:
            self.is_closed = True

    def close(self) -> None: ...


def done(journal: Journal, engine: Told, count: int) -> list[Run]:
    return list(journal.run(engine, None, jobs(count)))


def resumed(path: Path, count: int, fingerprint: str = "a") -> tuple[list[int], list[Run], Journal]:
    """What is still run of some jobs, what comes out, and the journal."""
    with Journal(path, fingerprint) as journal:
        engine = Told()
        runs = done(journal, engine, count)
    return engine.asked, runs, journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "below" / "trial.jsonl"


def test_what_is_known_is_not_run_again(path: Path) -> None:
    with Journal(path, "a") as journal:
        first = done(journal, Told(), 3)
        assert journal.found == 0
    asked, runs, journal = resumed(path, 5)
    assert asked == [3, 4]
    assert runs[:3] == first
    assert journal.found == 3
    assert resumed(path, 5)[0] == []


def test_within_one_trial_too(path: Path) -> None:
    with Journal(path, "a") as journal:
        engine = Told()
        done(journal, engine, 3)
        done(journal, engine, 4)
        assert len(list(journal.run(engine, None, jobs(1) * 3))) == 3
    assert engine.asked == [0, 1, 2, 3]


def test_no_bit_is_lost(path: Path) -> None:
    odd = {
        "metric": 0.1 + 0.2,
        "validation": -math.inf,
        "losses": (math.inf, 5e-324, -0.0),
        "loss_steps": (1, 2, 3),
        "metrics_at": {"7": 1 / 3},
        "diverged": 'the "loss"\nis ½',
    }
    with Journal(path, "a") as journal:
        before = done(journal, Told(**odd), 1)
    asked, after, _ = resumed(path, 1)
    assert asked == []
    assert after == before
    assert [math.copysign(1, x) for x in after[0].losses] == [1, 1, -1]


def test_a_nan_comes_back_as_one(path: Path) -> None:
    with Journal(path, "a") as journal:
        done(journal, Told(metric=math.nan), 1)
    asked, (run,), _ = resumed(path, 1)
    assert asked == []
    assert math.isnan(run.metric)


@pytest.mark.parametrize(
    ("result", "is_kept"),
    [
        ({"diverged": "the loss is nan at step 3"}, True),
        ({"failed": "ZeroDivisionError: division by zero"}, True),
        ({"failed": "the process of this run crashed (signal 11) in compiled code"}, True),
        ({"failed": "the process of this run was killed (signal 9); out of memory is"}, False),
        ({"failed": "out of memory: DefaultCPUAllocator: can't allocate memory"}, False),
        ({"failed": "the process of this run did nothing for 300 seconds, and was"}, False),
        ({"failed": "this run was stopped after 60 seconds, the limit for one run"}, False),
    ],
)
def test_a_failure_that_may_be_gone_is_tried_again(path: Path, result, is_kept: bool) -> None:
    with Journal(path, "a") as journal:
        done(journal, Told(**result), 2)
    asked, runs, _ = resumed(path, 2)
    assert asked == ([] if is_kept else [0, 1])
    assert all(bool(run.failed or run.diverged) == is_kept for run in runs)
    assert resumed(path, 2)[0] == []  # the second try is what counts


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_last_line_that_was_cut_off_is_dropped(path: Path, cut: int) -> None:
    with Journal(path, "a") as journal:
        done(journal, Told(), 3)
    path.write_bytes(path.read_bytes()[:-cut])
    asked, runs, _ = resumed(path, 3)
    assert asked == [2]
    assert len(runs) == 3
    assert resumed(path, 3)[0] == []


def test_a_header_that_was_cut_off_is_written_anew(path: Path) -> None:
    with Journal(path, "a") as journal:
        done(journal, Told(), 0)
        assert journal.found == 0
    path.write_bytes(path.read_bytes()[:20])
    assert resumed(path, 2)[0] == [0, 1]
    assert resumed(path, 2)[0] == []


def test_a_broken_line_costs_its_own_run_alone(path: Path) -> None:
    with Journal(path, "a") as journal:
        done(journal, Told(), 3)
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace('"metric"', '"meteric"')
    path.write_text("\n".join(lines) + "\n")
    asked, _, journal = resumed(path, 3)
    assert asked == [1]
    assert journal.notes == [
        f"1 line of the journal could not be read, and what it held is run again ({path})"
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda header: header | {"schema": 99}, "its layout is 99, this version writes 1"),
        (lambda header: header | {"versions": {}}, "other versions of unvanish or torch"),
        (lambda header: header | {"format": "diary"}, "it is no journal"),
        (lambda header: [header], "it is no journal"),
        (lambda header: header | {"fingerprint": "b"}, "it belongs to another network or trial"),
    ],
)
def test_a_journal_that_does_not_fit_is_put_aside(path: Path, change, why: str) -> None:
    with Journal(path, "a") as journal:
        done(journal, Told(), 2)
    header, *lines = path.read_text().splitlines()
    old = "\n".join([json.dumps(change(json.loads(header))), *lines]) + "\n"
    path.write_text(old)
    asked, _, journal = resumed(path, 2)
    assert asked == [0, 1]
    assert len(journal.notes) == 1
    assert why in journal.notes[0]
    aside = path.with_name(f"{path.name}.old1")
    assert aside.read_text() == old
    path.write_text(old)
    resumed(path, 1)
    assert path.with_name(f"{path.name}.old2").read_text() == old
    assert aside.read_text() == old


def test_another_fingerprint_does_not_meet_the_runs_of_the_first(path: Path) -> None:
    resumed(path, 2, "a")
    assert resumed(path, 2, "b")[0] == [0, 1]


def test_each_run_is_on_disk_before_it_is_told(path: Path) -> None:
    with Journal(path, "a") as journal:
        for count, run in enumerate(journal.run(Told(), None, jobs(3)), 1):
            lines = path.read_text().splitlines()
            assert len(lines) == 1 + count
            assert json.loads(lines[-1])["job"]["seed"] == run.job.seed


def test_closing_it_closes_the_engine(path: Path) -> None:
    engine = Told()
    with Journal(path, "a") as journal:
        runs = journal.run(engine, None, jobs(3))
        next(runs)
        runs.close()
    assert engine.is_closed
    assert resumed(path, 3)[0] == [1, 2]


def test_a_finished_trial_leaves_no_file(path: Path) -> None:
    journal = Journal(path, "a")
    done(journal, Told(), 3)
    journal.finish()
    assert list(path.parent.iterdir()) == []


# ------------------------------------------------------------------------ trouble


def test_a_full_disk_costs_the_journal_and_not_the_trial(path: Path, monkeypatch) -> None:
    write, left = os.write, [3]

    def full(file: int, text: bytes) -> int:
        left[0] -= 1
        if left[0] < 0:
            write(file, text[:10])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, text)

    with Journal(path, "a") as journal:
        assert journal.found == 0
        monkeypatch.setattr(os, "write", full)
        assert len(done(journal, Told(), 6)) == 6
        monkeypatch.undo()
        assert journal.notes == [
            "the trial cannot be resumed if it is interrupted, for its journal cannot be written: "
            f"No space left on device ({path})"
        ]
        assert not path.with_name(f"{path.name}.lock").exists()
    assert resumed(path, 6)[0] == [3, 4, 5]  # what fitted is used the next time


@pytest.mark.parametrize("blocked", ["mkdir", "open"])
def test_a_folder_that_cannot_be_written_is_one_note(path: Path, monkeypatch, blocked) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path if blocked == "mkdir" else os, blocked, refused)
    journal = Journal(path, "a")
    runs = done(journal, Told(), 3) + done(journal, Told(), 4)
    monkeypatch.undo()
    journal.finish()
    assert [run.job.seed for run in runs] == [0, 1, 2, 0, 1, 2, 3]
    assert len(journal.notes) == 1
    assert "Permission denied" in journal.notes[0]


def test_two_of_this_python_are_told_apart(path: Path) -> None:
    first, second = Journal(path, "a"), Journal(path, "a")
    done(first, Told(), 2)
    with pytest.raises(UnvanishError, match="another trial of this Python") as caught:
        done(second, Told(), 2)
    assert caught.value.help == "journal.close()   on the other one"
    first.close()
    assert len(done(second, Told(), 2)) == 2
    second.close()


def test_a_journal_that_is_forgotten_lets_go(path: Path) -> None:
    done(Journal(path, "a"), Told(), 2)
    assert resumed(path, 2)[0] == []


@linux
def test_a_second_process_is_told_which_one_is_at_work(path: Path) -> None:
    def hold() -> None:
        with Journal(path, "a") as journal:
            done(journal, Told(), 2)
            time.sleep(60)

    pid = program(hold)
    try:
        until(lambda: path.exists() and len(path.read_text().splitlines()) == 3)
        with pytest.raises(UnvanishError, match=rf"same journal: process {pid}\n") as caught:
            resumed(path, 2)
        assert caught.value.help == f"wait until it has ended, or: kill {pid}"
        assert caught.value.where == f"{path}.lock"
    finally:
        os.kill(pid, signal.SIGKILL)
        ended(pid)
    assert resumed(path, 2)[0] == []  # the lock of the dead is broken


@pytest.mark.parametrize("text", ["", '{"pid"', "[]", '{"pid": 0}'])
def test_a_lock_that_was_cut_off_holds_nobody_up(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.with_name(f"{path.name}.lock").write_text(text)
    assert resumed(path, 1)[0] == [0]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@linux
def test_a_process_id_that_was_given_out_anew_is_not_the_old_process(path: Path) -> None:
    path.parent.mkdir()
    owner = {"pid": os.getppid(), "host": socket.gethostname(), "born": "1"}
    path.with_name(f"{path.name}.lock").write_text(json.dumps(owner))
    assert resumed(path, 1)[0] == [0]


def test_a_process_on_another_machine_cannot_be_asked(path: Path) -> None:
    path.parent.mkdir()
    lock = path.with_name(f"{path.name}.lock")
    lock.write_text(json.dumps({"pid": 7, "host": "elsewhere", "born": ""}))
    with pytest.raises(UnvanishError, match="process 7 on elsewhere") as caught:
        resumed(path, 1)
    assert caught.value.help.endswith(f"rm {lock}")


@linux
def test_a_program_that_is_killed_goes_on_where_it_was(path: Path, tmp_path: Path) -> None:
    diary = Diary(tmp_path)
    whole = timeless(Inline().run(experiment(), jobs(6)))

    def work(*, is_slow: bool) -> list[Run]:
        def trouble(seed: int) -> None:
            diary(seed)
            if is_slow and seed >= 3:
                time.sleep(60)

        with Journal(path, "a") as journal:
            return list(journal.run(Local(2), experiment(trouble), jobs(6)))

    pid = program(lambda: work(is_slow=True))
    until(lambda: path.exists() and len(path.read_text().splitlines()) == 4)
    until(lambda: {3, 4} <= set(diary.seeds))
    os.kill(pid, signal.SIGKILL)
    assert ended(pid) == -9
    runs = timeless(work(is_slow=False))
    assert diary.seeds == [0, 1, 2, 3, 3, 4, 4, 5]  # only what was under way is done twice
    assert runs == whole


@linux
def test_killed_runs_are_done_again(path: Path) -> None:
    fatal = experiment(lambda seed: os.kill(os.getpid(), 9) if seed == 1 else None)
    with Journal(path, "a") as journal:
        assert "signal 9" in failures(journal.run(Local(2), fatal, jobs(3)))[1]
    with Journal(path, "a") as journal:
        assert failures(journal.run(Local(2), experiment(), jobs(3))) == [""] * 3
        assert journal.found == 2


# ------------------------------------------------------------------- where it lives


def test_the_folder_can_be_chosen(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNVANISH_CACHE", str(tmp_path / "mine"))
    assert default_folder() == tmp_path / "mine"
    journal = Journal.default("a")
    assert journal.path.parent == tmp_path / "mine"
    assert journal.path == Journal.default("a").path != Journal.default("b").path


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {}, "home/.cache/unvanish"),
        ("linux", {"XDG_CACHE_HOME": "/caches"}, "/caches/unvanish"),
        ("darwin", {}, "home/Library/Caches/unvanish"),
        ("win32", {}, "home/AppData/Local/unvanish"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/unvanish"),
    ],
)
def test_otherwise_it_is_the_users_cache(monkeypatch, platform, variables, folder) -> None:
    for name in ("UNVANISH_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(journals.sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    assert default_folder() == Path(folder)


def test_every_field_of_a_job_tells_runs_apart(path: Path) -> None:
    different = [
        Job(),
        Job(remedies=("he",)),
        Job(remedies=("he", "relu")),
        Job(rate_factor=0.1),
        Job(seed=1),
        Job(steps=7),
        Job(redraw=1),
        Job(judged=True),
        Job(checkpoints=(3,)),
        Job(examined=True),
    ]
    with Journal(path, "a") as journal:
        list(journal.run(Told(), None, different))
    with Journal(path, "a") as journal:
        engine = Told()
        assert [run.job for run in journal.run(engine, None, different)] == different
    assert engine.asked == []
