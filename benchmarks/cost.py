"""What a look costs, beside one plain forward and backward pass in the same process.

    python -m benchmarks.cost            writes results/cost.json and results/cost.md

Held fixed: one torch thread, float32, CPU, batch of the model's own definition, seed 0.
Times are process CPU seconds, medians of alternating runs, so that drift of the machine
hits both. Memory is the peak resident set above what stood before the first step, in a
fresh process each; weights are not counted, gradients and copies are.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

import unvanish
from benchmarks.models import MODELS, Case, sigmoid_stack, tanh_stack
from unvanish.observe import trace

RESULTS = Path("results")
DEPTHS = (10, 100, 1_000, 10_000)
RUNS = 9


def plain_step(case: Case) -> Callable[[], None]:
    """Return one plain forward and backward pass."""
    model, (x, y) = case

    def step() -> None:
        model.zero_grad(set_to_none=True)
        F.cross_entropy(model(x), y).backward()

    return step


def one_trace(case: Case, *, batches: int = 1, probe_steps: int = 0) -> Callable[[], None]:
    """Return one trace: the look from the loss and the one from the output."""
    model, batch = case

    def look() -> None:
        trace(model, batch, "cross_entropy", batches=batches, probe_steps=probe_steps)

    return look


def seconds_of(work: Callable[[], None]) -> float:
    """Run once and return CPU seconds of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def ratios(case: Case) -> dict[str, float]:
    """Time the plain step and the looks in turn."""
    jobs = {
        "plain": plain_step(case),
        "trace": one_trace(case),
        "check": one_trace(case, probe_steps=3),
    }
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for run in range(RUNS + 2):
        for name, job in jobs.items():
            taken = seconds_of(job)
            if run >= 2:
                times[name].append(taken)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "plain_ms": 1e3 * medians["plain"],
        "trace_ratio": medians["trace"] / medians["plain"],
        "check_ratio": medians["check"] / medians["plain"],
    }


def peak_mib(name: str, job: str) -> float:
    """Run one job in a fresh process and return the peak memory above the model's own."""
    command = [sys.executable, "-m", "benchmarks.cost", "--memory", name, job]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_memory(name: str, job: str) -> float:
    """Return the growth of the peak resident set by one job, in MiB."""
    case = MODELS[name]()
    plain_step(sigmoid_stack(2))()
    one_trace(sigmoid_stack(2))()  # so that code loaded on first use is not counted
    work = plain_step(case) if job == "plain" else one_trace(case)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
    before = resident("VmRSS")
    work()
    return resident("VmHWM") - before


def resident(field: str) -> float:
    """Return a line of /proc/self/status in MiB; Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(field))
    return int(line.split()[1]) / 1024


def depth_table() -> list[dict[str, Any]]:
    """Trace plain stacks of growing depth."""
    rows = []
    for kind, make in (("tanh, orthogonal", tanh_stack), ("sigmoid, default", sigmoid_stack)):
        for depth in DEPTHS:
            case = make(depth)
            plain = statistics.median(seconds_of(plain_step(case)) for _ in range(3))
            look = seconds_of(one_trace(case))
            rows.append(
                {
                    "network": kind,
                    "layers": depth,
                    "plain_s": plain,
                    "trace_s": look,
                    "trace_ms_a_layer": 1e3 * look / depth,
                }
            )
    return rows


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    return {
        "unvanish": unvanish.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
        "command": "python -m benchmarks.cost",
        "seed": 0,
    }


def as_markdown(result: dict[str, Any]) -> str:
    """Lay the result out as two tables."""
    lines = [
        "| model | plain step | trace / plain | check / plain | memory: trace / plain |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in result["models"].items():
        lines.append(
            f"| {name} | {row['plain_ms']:.1f} ms | {row['trace_ratio']:.1f} | "
            f"{row['check_ratio']:.1f} | {row['memory_ratio']:.1f} |"
        )
    lines += ["", "| plain stack | layers | trace | a layer |", "|---|---:|---:|---:|"]
    for row in result["depths"]:
        lines.append(
            f"| {row['network']} | {row['layers']:,} | {row['trace_s']:.2f} s | "
            f"{row['trace_ms_a_layer']:.2f} ms |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure everything, or one job's memory where asked to by the parent process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", nargs=2, metavar=("MODEL", "JOB"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if arguments.memory:
        print(measure_memory(*arguments.memory))
        return
    models = {}
    for name, make in MODELS.items():
        row = ratios(make())
        plain, look = peak_mib(name, "plain"), peak_mib(name, "trace")
        row |= {"plain_mib": plain, "trace_mib": look, "memory_ratio": look / plain}
        models[name] = row
        print(name, row, file=sys.stderr)
    result = {"machine": machine(), "models": models, "depths": depth_table()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "cost.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "cost.md").write_text(as_markdown(result))
    print(as_markdown(result))


if __name__ == "__main__":
    main()
