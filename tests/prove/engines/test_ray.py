"""Runs in actors of Ray: the same numbers, with the user's own file, and nothing left behind."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

import pytest
from tests.prove.engines.problems import Diary, experiment, failures, jobs, lives, timeless, until

from unvanish.core.errors import MissingExtraError, UnvanishError
from unvanish.prove.engines import engine_of
from unvanish.prove.engines.inline import Inline
from unvanish.prove.engines.ray_engine import Ray


@pytest.fixture(scope="module")
def engine() -> Iterator[Ray]:
    pytest.importorskip("ray")
    engine = Ray(2)
    yield engine
    engine.close()


@pytest.mark.slow
def test_actors_give_the_same_numbers_to_the_last_bit(engine: Ray, capfd) -> None:
    asked = jobs(5, checkpoints=(2,), examined=True)
    sound = experiment(lambda _: print("noise"))
    here = timeless(Inline().run(experiment(), asked))
    assert timeless(engine.run(sound, asked)) == here
    assert engine.how == "2 actors of Ray at once"
    begun = time.monotonic()
    assert timeless(engine.run(sound, asked)) == here
    assert time.monotonic() - begun < 3, "the actors were started anew"
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_a_killed_actor_costs_its_own_run_alone(engine: Ray, capfd) -> None:
    fatal = experiment(lambda seed: os.kill(os.getpid(), 9) if seed == 1 else None)
    assert failures(engine.run(fatal, jobs(3))) == [
        "",
        "the process of this run was killed 2 times; out of memory is the usual reason",
        "",
    ]
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_run_whose_actor_died_once_is_done_again(engine: Ray, tmp_path) -> None:
    diary = Diary(tmp_path)

    def fatal_once(seed: int) -> None:
        diary(seed)
        if diary.seeds.count(0) == 1 and seed == 0:
            os.kill(os.getpid(), 9)

    assert failures(engine.run(experiment(fatal_once), jobs(2))) == ["", ""]
    assert diary.seeds == [0, 0, 1]


@pytest.mark.slow
def test_failures_of_the_users_code_are_results(engine: Ray) -> None:
    broken = experiment(lambda seed: (sys.exit if seed == 0 else int)("x"))
    assert failures(engine.run(broken, jobs(2))) == [
        "the user's code called sys.exit('x')",
        "ValueError: invalid literal for int() with base 10: 'x'",
    ]


@pytest.mark.slow
def test_closing_ends_what_is_under_way(engine: Ray, tmp_path) -> None:
    diary = Diary(tmp_path)

    def slow_after_the_first(seed: int) -> None:
        diary(seed)
        if seed:
            time.sleep(60)

    runs = engine.run(experiment(slow_after_the_first), jobs(3))
    next(runs)
    until(lambda: len(diary.lines) >= 2)
    begun = time.monotonic()
    runs.close()
    until(lambda: not lives(dict(diary.lines)[1]), seconds=10)
    assert time.monotonic() - begun < 10


@pytest.mark.slow
def test_what_cannot_be_pickled_is_refused_by_name(engine: Ray) -> None:
    import threading

    held = threading.Lock()
    with pytest.raises(UnvanishError, match="cannot be pickled") as caught:
        list(engine.run(experiment(lambda _: held.locked()), jobs(1)))
    assert caught.value.help.startswith("--engine local")


@pytest.mark.slow
def test_a_network_in_the_users_own_file_arrives(engine: Ray, write) -> None:
    from unvanish.prove.building import experiment_of
    from unvanish.recipe.loading import load

    write("helper.py", "def width():\n    return 12\n")
    target = write(
        "net.py",
        """
        import torch
        from helper import width
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Linear(6, width())
                self.head = nn.Linear(width(), 2)

            def forward(self, x):
                return self.head(torch.sigmoid(self.body(x)))

        def model():
            return Net()

        def data():
            generator = torch.Generator().manual_seed(0)
            for _ in range(20):
                x = torch.randn(32, 6, generator=generator)
                yield x, (x.sum(1) > 0).long()
        """,
    )
    sound = experiment_of(load(target, seed=0), steps=10)
    here = timeless(Inline().run(sound, jobs(3)))
    assert all(not run.failed for run in here)
    assert timeless(engine.run(sound, jobs(3))) == here


def test_an_address_where_nothing_answers_is_an_error(monkeypatch) -> None:
    ray = pytest.importorskip("ray")
    asked: list[str] = []

    def unreachable(*, address: str, **_: object) -> None:
        asked.append(address)
        raise ConnectionError("ray client connection timeout\nand more")

    monkeypatch.setattr(ray, "init", unreachable)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    engine = engine_of("ray://127.0.0.1:9", 2)
    with pytest.raises(UnvanishError, match="cannot be reached: ray client connection") as caught:
        list(engine.run(experiment(), jobs(1)))
    engine.close()
    assert asked == [caught.value.where] == ["ray://127.0.0.1:9"]


def test_without_ray_the_line_that_installs_it_is_told(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"--engine ray needs the package 'ray'") as caught:
        list(Ray(2).run(experiment(), jobs(1)))
    assert "pip install 'unvanish[ray]'" in caught.value.help


def test_no_runs_need_no_cluster() -> None:
    engine = Ray(2)
    assert list(engine.run(experiment(), [])) == []
    engine.close()
