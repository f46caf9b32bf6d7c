"""The page: what was measured, as tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

GOALS: Final = {
    "unvanish": (1.01, 1.01, 1.01),
    "unvanish, every step: parameters": (1.08, 1.02, 1.02),
    "unvanish, every step: everything": (1.15, 1.05, 1.02),
}
"""CPU time over the plain step that was aimed at: MLP, convolutional network, transformer."""


def written(result: Mapping[str, Any]) -> str:
    """Return the page.

    Args:
        result: Everything that was measured.
    """
    models = result["models"]
    lines = [
        "# What watching costs",
        "",
        "Held fixed: one thread, float32, seed 0, 16 batches in turn. Time is the CPU time of the",
        "process over that of the plain step. Every arm runs in a process of its own; they take",
        "turns of a few steps, one at a time, in an order drawn anew each time. An average step of",
        "a long run is the median of each kind of step (between samples, light sample, whole",
        "sample) by its share, and what other threads of the process went on for afterwards. In",
        "brackets, where nine of ten ratios lie when turns are drawn anew with replacement.",
        "Arms that can pause are compared with plain steps in their own process. Memory is the",
        "peak of the resident set over the first 10 steps, above what stood before the model was",
        "made, over that of the plain step, in a process of its own in which the heap gives back",
        "at once what is freed; code that an arm loads once is not counted, and neither are",
        "processes that a tool starts of its own (wandb has one).",
    ]
    for name, model in models.items():
        lines += ["", f"## {name}", "", f"`{model['command']}`", "", f"{model['says']}.", ""]
        lines += _table(model)
        lines += _kinds(model)
        if model.get("not_measured"):
            lines += ["", "Not measured:", ""]
            lines += [f"- {arm}: {why}" for arm, why in model["not_measured"].items()]
    if "growth" in result:
        lines += _growth(result["growth"])
    lines += ["", "## Arms", "", "| arm | how it is used | version |", "|---|---|---|"]
    lines += [
        f"| {arm} | {how['says']} | {how['version']} |" for arm, how in result["arms"].items()
    ]
    return "\n".join(lines) + "\n"


def _table(model: Mapping[str, Any]) -> list[str]:
    is_host = model["machine"]["device"] == "cpu"
    lines = [
        f"| arm | a step | time / plain | {'' if is_host else 'waits a step | '}memory / plain |",
        f"|---|---:|---:|{'' if is_host else '---:|'}---:|",
    ]
    for name, row in model["arms"].items():
        waits = "" if is_host else f"{_waits(row['syncs'])} | "
        between = f"{row['low']:.3f} to {row['high']:.3f}"
        lines.append(
            f"| {name} | {row['ms']:.2f} ms | {row['ratio']:.3f} ({between}) | "
            f"{waits}{row['memory_ratio']:.3f} |"
        )
    return lines


def _waits(syncs: Mapping[str, float]) -> str:
    return ", ".join(f"{kind}: {waits:g}" for kind, waits in syncs.items())


def _kinds(model: Mapping[str, Any]) -> list[str]:
    """Return what each kind of step of unvanish's takes."""
    rows = [
        f"| {name} | {kind} | {ms:.2f} ms |"
        for name, row in model["arms"].items()
        for kind, ms in row["kinds_ms"].items()
        if len(row["kinds_ms"]) > 1
    ]
    return ["", "| arm | kind of step | a step |", "|---|---|---:|", *rows] if rows else []


def _growth(growth: Mapping[str, Any]) -> list[str]:
    lines = ["", "## A long run", "", f"`{growth['command']}`", ""]
    marks = " | ".join(f"{step:,} steps" for step in growth["steps"])
    lines += [f"| resident set | {marks} |", "|---|" + "---:|" * len(growth["steps"])]
    for name in ("plain", "unvanish"):
        cells = " | ".join(f"{mib:.1f} MiB" for mib in growth[name]["resident_mib"])
        lines.append(f"| {name} | {cells} |")
    size = growth["unvanish"]["file_mib"]
    lines += ["", f"The recording is {size:.1f} MiB. It is kept on disk; without `file` it is in"]
    lines += ["memory, and the run grows by as much."]
    return lines


def short(result: Mapping[str, Any], *, what: str = "ratio") -> str:
    """Return one table for the documentation: arms by models.

    Args:
        result: Everything that was measured.
        what: Over the plain step: ``"ratio"`` of times, ``"memory_ratio"`` of peaks of memory.
    """
    models = result["models"]
    names = list(dict.fromkeys(arm for model in models.values() for arm in model["arms"]))
    title = "CPU time" if what == "ratio" else "peak of memory"
    head = f"| {title} over the plain step | {' | '.join(models)} |"
    lines = [head, "|---|" + "---:|" * len(models)]
    for name in names:
        if name == "plain step":
            continue
        cells = [_cell(model["arms"].get(name), what) for model in models.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: Mapping[str, Any] | None, what: str) -> str:
    if row is None or math.isnan(row[what]):
        return "–"
    return f"{row[what]:.3f}" if row[what] < 2 else f"{row[what]:.1f}"
