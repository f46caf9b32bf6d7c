"""Which tools there are, what one job does, and what is counted of it."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

from benchmarks.peers.live import own, torchdiag, torchlens, torchmortem
from benchmarks.peers.published.autotrainer import SYSTEM as AUTOTRAINER
from benchmarks.peers.published.bttackler import SYSTEM as BTTACKLER
from benchmarks.peers.published.sagemaker_debugger import SYSTEM as SAGEMAKER_DEBUGGER
from benchmarks.peers.published.the_deep_checker import SYSTEM as THE_DEEP_CHECKER
from benchmarks.peers.record import System

SYSTEMS: Final[tuple[System, ...]] = (
    SAGEMAKER_DEBUGGER,
    AUTOTRAINER,
    THE_DEEP_CHECKER,
    BTTACKLER,
)
PUBLISHED: Final = "published rules"


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool that is run as it is.

    Attributes:
        name: As the page calls it.
        requires: Module that has to be installed; empty if none.
        counts: What counts as an alarm.
        examine: Takes patient and seed and returns the names of what raised an alarm.
        in_main_process: Whether it refuses to work in a process that another one started.
    """

    name: str
    requires: str
    counts: str
    examine: Callable[[str, int], Sequence[str]]
    in_main_process: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether it can be run here."""
        return not self.requires or find_spec(self.requires) is not None


TOOLS: Final = (
    *(
        Tool(name=m.NAME, requires=m.REQUIRES, counts=m.COUNTS, examine=m.examine)
        for m in (own, torchmortem, torchdiag)
    ),
    Tool(
        name=torchlens.NAME,
        requires=torchlens.REQUIRES,
        counts=torchlens.COUNTS,
        examine=torchlens.examine,
        in_main_process=True,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One tool on one patient under one seed.

    Attributes:
        patient: Name of the patient.
        half: Half of the zoo it is in.
        is_sick: Whether something is wrong with it.
        seed: Seed of weights, data order and everything random.
        tool: Name of the tool.
        alarms: What raised an alarm; nothing where the tool crashed.
        crash: Last line of the exception, or empty.
        seconds: Wall time; published rules share one run.
    """

    patient: str
    half: str
    is_sick: bool
    seed: int
    tool: str
    alarms: Sequence[str] = ()
    crash: str = ""
    seconds: float = 0.0


Job = tuple[str, str, int]


def jobs(seeds: int, only: Sequence[str], *, in_main_process: bool) -> Iterator[Job]:
    """Yield tool, patient and seed, one tool after the other."""
    from unvanish.zoo.patient import patients

    tools = [] if in_main_process else [PUBLISHED]
    tools += [
        tool.name for tool in TOOLS if tool.is_installed and tool.in_main_process is in_main_process
    ]
    for tool in tools:
        for name in only or patients():
            for seed in range(seeds):
                yield tool, name, seed


def run(job: Job) -> list[Run]:
    """Let one tool watch one patient; a crash is a result, not an error."""
    import torch

    from unvanish.zoo.patient import half_of, patient_of

    torch.set_num_threads(1)
    tool, name, seed = job
    start = time.perf_counter()
    alarms: Mapping[str, Sequence[str]] = {}
    crash = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if tool == PUBLISHED:
                alarms = published(name, seed)
            else:
                alarms = {tool: next(t for t in TOOLS if t.name == tool).examine(name, seed)}
    except Exception as error:
        crash = traceback.format_exception_only(error)[-1].strip()
    names = [system.name for system in SYSTEMS] if tool == PUBLISHED else [tool]
    return [
        Run(
            patient=name,
            half=half_of(name).value,
            is_sick=patient_of(name).is_sick,
            seed=seed,
            tool=one,
            alarms=tuple(alarms.get(one, ())),
            crash=crash,
            seconds=round(time.perf_counter() - start, 2),
        )
        for one in names
    ]


def published(name: str, seed: int) -> dict[str, tuple[str, ...]]:
    """Return what every published system says of one run."""
    from benchmarks.peers.recorder import record

    recorded = record(name, seed)
    return {system.name: system.alarms(recorded) for system in SYSTEMS}


def share(part: int, whole: int) -> float | None:
    """Return a fraction, or None of nothing."""
    return part / whole if whole else None


def counts(runs: Sequence[Run], alarmed: Callable[[Run], bool]) -> dict[str, Any]:
    """Count alarms on sick and on healthy networks."""
    sick, healthy = [r for r in runs if r.is_sick], [r for r in runs if not r.is_sick]
    found, false = sum(map(alarmed, sick)), sum(map(alarmed, healthy))
    return {
        "sick": len(sick),
        "sick_alarmed": found,
        "healthy": len(healthy),
        "healthy_alarmed": false,
        "recall": share(found, len(sick)),
        "precision": share(found, found + false),
        "crashes": sum(bool(r.crash) for r in runs),
    }


def by_tool(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Count every tool, any alarm of it."""
    return {
        tool: counts([r for r in runs if r.tool == tool], lambda r: bool(r.alarms))
        for tool in dict.fromkeys(r.tool for r in runs)
    }


def by_rule(runs: Sequence[Run]) -> dict[str, dict[str, dict[str, Any]]]:
    """Count every rule of every tool; of a tool without a list, what it said at least once."""
    listed = {system.name: list(system.rules) for system in SYSTEMS}
    result = {}
    for tool in dict.fromkeys(r.tool for r in runs):
        mine = [r for r in runs if r.tool == tool]
        rules = listed.get(tool) or sorted({alarm for r in mine for alarm in r.alarms})
        result[tool] = {
            rule: counts(mine, lambda r, rule=rule: rule in r.alarms)  # type: ignore[misc]
            for rule in rules
        }
    return result
