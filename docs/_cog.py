"""Runs the commands of the documentation, so that what they print cannot drift.

Used from cog blocks::

    <!-- [[[cog
    from _cog import run
    run("unvanish check docs/examples/net.py", expect=1)
    ]]] -->
    <!-- [[[end]]] -->

`make docs` writes the output between the last two lines; `make test` fails where it
would change. What differs from run to run or from machine to machine (wall-clock
seconds, versions of Python and torch) is left out.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))  # for `tests.networks.zoo`, which the README counts
# The wall time at the end of a header, or alone on the header's next line.
_SECONDS = re.compile(r"(?: · |\n  )(?:\d+ min )?\d+(?:\.\d+)? (?:ms|s)$", re.MULTILINE)
_TIMES = re.compile(r"\btime x\d+\.\d\b")
_VOLATILE = {"seconds", "versions"}


def _output(command: str, expect: int) -> str:
    words = shlex.split(command)
    if words[0] == "unvanish":
        words = [sys.executable, "-m", "unvanish", *words[1:]]
    elif words[0] == "python":
        words[0] = sys.executable
    settings = {"COLUMNS": "80", "LINES": "40", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    hidden = {"FORCE_COLOR", "CLICOLOR_FORCE", "PYTHONWARNINGS"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        words,
        cwd=ROOT,
        env={**kept, **settings},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != expect:
        raise RuntimeError(
            f"`{command}` ended with {done.returncode}, the page expects {expect}\n{done.stderr}"
        )
    # An error belongs to the page only where the page shows an error.
    return done.stdout + (done.stderr if expect in (2, 3) else "")


def steady(text: str) -> str:
    """Return a text without its wall-clock seconds, trailing blanks and absolute paths."""
    text = _TIMES.sub("time x…", _SECONDS.sub("", text)).replace(f"{ROOT}/", "")
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def _write(text: str = "") -> None:
    import cog  # exists only while cog runs

    cog.outl(text)


def _block(language: str, body: str) -> None:
    _write(f"```{language}\n{body}\n```")


def run(command: str, *, expect: int = 0, show_exit: bool = False, first: int = 0) -> None:
    """Print a command and its output as a console block.

    Args:
        command: The line a person would type.
        expect: The exit code it must have.
        show_exit: Whether to print the exit code as a second command.
        first: How many lines of output to keep, 0 for all.
    """
    lines = steady(_output(command, expect)).splitlines()
    if first and len(lines) > first:
        lines = [*lines[:first], "…"]
    if show_exit:
        lines += ["$ echo $?", str(expect)]
    _block("console", "\n".join([f"$ {command}", *lines]))


def run_trial(command: str, *, expect: int = 0) -> None:
    """Print a command that trains, as it was last run by `make docs`.

    What training comes to depends on the processor in the last digits, and takes long. So the
    output is kept in `docs/trials`, and run anew only where TRIALS is set, as `make docs` does.

    Args:
        command: The line a person would type.
        expect: The exit code it must have.
    """
    name = re.sub(r"[^a-z0-9]+", "-", command.removeprefix("unvanish ").casefold()).strip("-")
    file = ROOT / "docs" / "trials" / f"{name}.txt"
    if os.environ.get("TRIALS") or not file.exists():
        text = steady(_output(command, expect))
        text = re.sub(r"  x\d+\.\d$", "  x…", text, flags=re.MULTILINE)
        text = re.sub(r"^   harm: .*?\n\n", "   harm: …\n\n", text, flags=re.MULTILINE | re.DOTALL)
        file.parent.mkdir(exist_ok=True)
        file.write_text(text + "\n", encoding="utf-8")
    _block("console", f"$ {command}\n" + file.read_text(encoding="utf-8").rstrip("\n"))


def run_json(command: str, *, expect: int = 0, keep: int = 2) -> None:
    """Print a command and its JSON.

    Args:
        command: The line a person would type.
        expect: The exit code it must have.
        keep: How many members of every list to keep. Seconds and versions are left out.
    """
    data = _trim(json.loads(_output(command, expect)), keep)
    body = json.dumps(data, indent=2, ensure_ascii=False).replace(f"{ROOT}/", "")
    # Short lists of numbers or words on one line.
    body = re.sub(r"\[\s+([^\[\]{}]{0,70}?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", body)
    _block("console", f"$ {command}")
    _write()
    _block("json", body)


def _trim(value: Any, keep: int) -> Any:
    if isinstance(value, dict):
        return {k: _trim(v, keep) for k, v in value.items() if k not in _VOLATILE}
    if isinstance(value, list):
        return [_trim(member, keep) for member in value[:keep]]
    return value


def include(path: str, language: str = "python") -> None:
    """Print a file of the repository as a code block that `tests/docs` does not run."""
    _block(f"{language} title={path}", (ROOT / path).read_text(encoding="utf-8").strip("\n"))


def paste(path: str) -> None:
    """Print a Markdown file of the repository as it is."""
    _write((ROOT / path).read_text(encoding="utf-8").strip("\n"))


def check_ratios() -> tuple[float, float]:
    """Return the least and the most plain steps that a whole check cost in `make bench`."""
    models = json.loads((ROOT / "results" / "cost.json").read_text(encoding="utf-8"))["models"]
    ratios = [row["check_ratio"] for row in models.values()]
    return min(ratios), max(ratios)


def cures(name: str = "cures", half: str = "") -> None:
    """Print how many patients of the zoo each policy cures, as far as `benchmarks.cures` came.

    Args:
        name: Name of the file of that run, without its ending.
        half: The half of the zoo that was run; empty for both.
    """
    from benchmarks.cures import POLICIES, is_harmed, share

    from unvanish.zoo.patient import half_of, patient_of, patients

    found = json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8"))
    rows, jobs = found["patients"], found["jobs"]
    sick = [row for row in rows if row["codes"]]
    healthy = [row for row in rows if not row["codes"]]
    in_zoo = [patient_of(p).is_sick for p in patients() if half in ("", half_of(p).value)]
    where = f"the {half} half of the zoo" if half else "the zoo"
    changed = sum(bool(r.get("remedies")) or r.get("rate_factor", 1.0) != 1.0 for r in healthy)
    spared = f"healthy ones that were changed: {changed}; " if healthy else ""
    harmed = sum("cure" in row and is_harmed(row) for row in rows)
    seconds = sorted(row["seconds"] for row in sick)
    _write(
        f"Tried so far: {len(sick)} of {sum(in_zoo)} sick and {len(healthy)} of "
        f"{len(in_zoo) - sum(in_zoo)} healthy networks of {where}. Harmed: {harmed}; "
        f"{spared}median time of a cure: "
        f"{seconds[len(seconds) // 2]:.0f} s on {jobs} core{'s' * (jobs != 1)}."
    )
    _write()
    names = {
        "nothing": "nothing: the network as it is",
        "by lot": "fitting remedies and rates by lot, equal budget",
        "first silent edit": "the first edit that silences the alarm (AutoTrainer's policy)",
        "cure": "**`unvanish cure`**",
        "known cure": "the cure that the network's author knows",
    }
    shares = [(names[each], share(sick, each)) for each in POLICIES]
    table("policy | reach the goal", [row for row in shares if row[1]])


def cures_outside(name: str) -> None:
    """Print how many networks of blind authors a blind run cured.

    Args:
        name: Name of the file of that run, without its ending.
    """
    from benchmarks.cures_outside import is_changed, share

    file = ROOT / "results" / f"{name}.json"
    rows = json.loads(file.read_text(encoding="utf-8"))["networks"]
    sick = [row for row in rows if row["sick"]]
    healthy = [row for row in rows if row["sick"] is False]
    judged = [row for row in rows if "cure" in row]
    worse = sum(row["cure"]["seeds"] < row["nothing"]["seeds"] for row in judged)
    _write(
        f"{share(sick, 'cure')} of {len(sick)} sick networks reach the goal of their authors, who "
        f"had reached it with every one by a cure of their own; {worse} reach it less often than "
        f"before; {sum(map(is_changed, healthy))} of {len(healthy)} healthy ones were changed."
    )


def table(head: str, rows: list[tuple[object, ...]]) -> None:
    """Print a Markdown table.

    Args:
        head: Column titles, separated by ``|``.
        rows: One tuple a row.
    """
    titles = [title.strip() for title in head.split("|")]
    _write(f"| {' | '.join(titles)} |")
    _write(f"|{'---|' * len(titles)}")
    for row in rows:
        cells = [" ".join(str(cell).split()).replace("|", "\\|") for cell in row]
        _write(f"| {' | '.join(cells)} |")


def show(function: Callable[[], object]) -> None:
    """Print what a function prints, as a text block."""
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as out:
        function()
    _block("text", steady(out.getvalue()))


def _results(name: str) -> Any:
    return json.loads((ROOT / "results" / f"{name}.json").read_text(encoding="utf-8"))


def accuracy() -> None:
    """Print how often a check was right in `make bench`, by half of the zoo."""

    def percent(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.1f} %"

    rows = [
        (
            half,
            s["patients"],
            s["runs"],
            percent(s["recall"]),
            percent(s["precision"]),
            percent(s["cause_right"]),
            f"{s['healthy_alarmed']} of {s['healthy']}",
            s["crashes"],
        )
        for half, s in _results("accuracy")["summary"].items()
    ]
    table(
        "half | networks | runs | recall | precision | cause right | healthy alarmed | crashes",
        rows,
    )


def ledger(command: str) -> None:
    """Print the ledger alone, which a command writes under a finding."""
    text = steady(_output(command, 1))
    lines = text[text.index(" ledger: ") :].splitlines()
    stop = next(i for i, line in enumerate(lines) if line.startswith(("   note: ", "   help: ")))
    _block("console", "\n".join([f"$ {command}", "…", *lines[:stop], "…"]))


def outside() -> None:
    """Print how often the command was right on networks in other people's styles."""

    def row(when: str, name: str) -> tuple[object, ...]:
        s = _results(name)["summary"]
        shares = (f"{100 * s[key]:.1f} %" for key in ("recall", "precision", "cause_right"))
        return (when, s["sick"], s["healthy"], *shares, s["alarmed"], s["crashes"])

    table(
        "run | sick | healthy | recall | precision | cause right | healthy alarmed | crashes",
        [
            row("first corpus, nothing looked at", "outside_first"),
            row("second corpus, nothing looked at", "outside_second_first"),
            row("third corpus, nothing looked at", "outside_third_first"),
            row("fourth corpus, nothing looked at", "outside_fourth_first"),
            row("fifth corpus, nothing looked at", "outside_fifth_first"),
            row("sixth corpus, nothing looked at", "outside_sixth_first"),
            row("seventh corpus, nothing looked at", "outside_seventh_first"),
            row("third, after mending what it showed", "outside_third"),
            row("fifth, after mending what it showed", "outside_fifth"),
            row("sixth, after mending what it showed", "outside_sixth"),
            row("all but the seventh, after mending", "outside"),
        ],
    )


def remedies() -> None:
    """Print which remedies take each finding of the zoo away, and which never do."""
    from benchmarks.remedies_page import digest

    lines = digest(_results("remedies"))
    head = "finding | networks | gone most often | never gone, though offered for two or more"
    table(head, [*map(tuple, lines)])


def remedy_trials() -> dict[str, Any]:
    """Return how many pairs of remedy and network were tried, and how near theory came."""
    from benchmarks.remedies_page import agreement, counts

    document = _results("remedies")
    return {**counts(document), **agreement(document)}


def theory_errors() -> tuple[int, int]:
    """Return how many cases theory was compared with, and how many agreed within 1.5 %."""
    cases = _results("theory")["cases"]
    return len(cases), sum(abs(case["error"]) <= 0.015 for case in cases)


def zoo() -> tuple[int, int]:
    """Return how many sick and how many healthy patients there are."""
    from unvanish.zoo.patient import patient_of, patients

    sick = sum(patient_of(name).is_sick for name in patients())
    return sick, len(patients()) - sick


def budgets() -> tuple[int, int]:
    """Return how many training runs of the zoo `make bench` made, and how many went as said."""
    runs = _results("budget")["runs"]
    return len(runs), sum(run["as_said"] for run in runs)
