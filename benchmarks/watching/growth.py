"""Does a watched run grow, the longer it lasts?"""

from __future__ import annotations

import multiprocessing
import tempfile
from pathlib import Path
from typing import Any, Final

import torch

import unvanish

LENGTH: Final = 100_000
MARKS: Final = (0.1, 0.25, 0.5, 1.0)


def growth(steps: int = LENGTH) -> dict[str, Any]:
    """Watch a tiny network for many steps, as it comes, and without a watch.

    Args:
        steps: How many.

    Returns:
        Resident memory in MiB after a tenth, a quarter, half and all of the steps.
    """
    context = multiprocessing.get_context("fork")
    found: dict[str, Any] = {"steps": [int(steps * mark) for mark in MARKS]}
    for name, is_watched in (("plain", False), ("unvanish", True)):
        ours, theirs = context.Pipe()
        process = context.Process(target=_run, args=(theirs, steps, is_watched))
        process.start()
        found[name] = ours.recv()
        process.join()
    return found


def _run(end: Any, steps: int, is_watched: bool) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU(),
        torch.nn.Linear(16, 1),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    x, y = torch.randn(16, 8), torch.randn(16, 1)
    marks = [int(steps * mark) for mark in MARKS]
    resident = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run.sqlite"
        watch = unvanish.observe(model, optimizer, file=file) if is_watched else None
        if watch is not None:
            watch.start()
        for step in range(1, steps + 1):
            optimizer.zero_grad()
            (model(x) - y).square().mean().backward()
            optimizer.step()
            if step in marks:
                resident.append(_resident())
        size = 0.0
        if watch is not None:
            watch.stop()
            size = file.stat().st_size / 2**20
    end.send({"resident_mib": resident, "file_mib": size})


def _resident() -> float:
    """Return resident memory in MiB; ``nan`` where it cannot be told."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    (line,) = (each for each in lines if each.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
