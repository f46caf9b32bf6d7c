"""How other tools do on the networks of the zoo, and `unvanish check` beside them.

    python -m benchmarks.peers [--seeds 1] [--jobs 2] [--only NAME ...]

writes results/peers.json (every run) and results/peers.md (the tables, and what is held
fixed). Tools that are not installed are left out and named; the extra `peers` has them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.peers.page import written
from benchmarks.peers.runs import TOOLS, Run, by_rule, by_tool, jobs, run

RESULTS = Path("results")


def summarised(runs: Sequence[Run], command: str) -> dict[str, Any]:
    """Return everything the page is made of."""
    halves = {half: [r for r in runs if r.half == half] for half in ("development", "reserved")}
    installed = [tool.name for tool in TOOLS if tool.is_installed]
    return {
        "command": command,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", *installed)},
        },
        "summary": {"both": by_tool(runs), **{h: by_tool(rs) for h, rs in halves.items()}},
        "rules": by_rule(runs),
        "runs": [asdict(r) for r in runs],
    }


def main() -> None:
    """Run everything and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="*", default=[])
    arguments = parser.parse_args()
    runs: list[Run] = []
    work = list(jobs(arguments.seeds, arguments.only, in_main_process=False))
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        for several in pool.imap(run, work):
            runs += several
    for job in jobs(arguments.seeds, arguments.only, in_main_process=True):
        runs += run(job)
    result = summarised(runs, f"python -m benchmarks.peers --seeds {arguments.seeds}")
    page = written(result, runs)
    if arguments.only:
        print(page)
        return
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(result, indent=1, allow_nan=False)
    (RESULTS / "peers.json").write_text(text + "\n", encoding="utf-8")
    (RESULTS / "peers.md").write_text(page, encoding="utf-8")
    print(page[: page.index("## By rule")])


if __name__ == "__main__":
    main()
