"""Writes docs/rules/UVxxx.md from the docstring of every rule.

python docs/_rules.py            write the pages
python docs/_rules.py --check    fail where a page would change
"""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "rules"


def pages() -> dict[str, str]:
    """Return the text of every page of docs/rules by file name."""
    from unvanish.core.pages import page_of, title_of
    from unvanish.diagnose.rules import BUILTIN_RULES

    files = {
        f"{rule.code}.md": f"# {rule.code} {rule.name}\n\n{page_of(rule).strip()}\n"
        for rule in BUILTIN_RULES
    }
    rows = [
        f"| [{rule.code}]({rule.code}.md) | {rule.name} | {title_of(page_of(rule))} |"
        for rule in BUILTIN_RULES
    ]
    head = ["# Rules", "", "| code | name | what it finds |", "|---|---|---|"]
    files["README.md"] = "\n".join([*head, *rows]) + "\n"
    return files


def differences(wanted: dict[str, str], folder: Path = FOLDER) -> list[str]:
    """Return the names of the pages that are missing, stale or left over."""
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return sorted(
        name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name)
    )


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them; returns the exit code."""
    wanted = pages()
    different = differences(wanted)
    if arguments == ["--check"]:
        for name in different:
            print(f"docs/rules/{name} differs from the rule's docstring; run: make docs")
        return 1 if different else 0
    FOLDER.mkdir(exist_ok=True)
    for name in different:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
