"""Writes the page of every rule and the card of every remedy from their docstrings.

python docs/_pages.py            write docs/rules and docs/remedies
python docs/_pages.py --check    fail where a page would change
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
FOLDERS = ("rules", "remedies")


def pages() -> dict[str, str]:
    """Return the text of every page, by file name below docs."""
    from unvanish.core.pages import page_of, title_of
    from unvanish.diagnose.rules import BUILTIN_RULES
    from unvanish.treat.remedies import BUILTIN_REMEDIES

    files = {
        f"rules/{rule.code}.md": f"# {rule.code} {rule.name}\n\n{page_of(rule).strip()}\n"
        for rule in BUILTIN_RULES
    }
    rows = [
        f"| [{rule.code}]({rule.code}.md) | {rule.name} | {title_of(page_of(rule))} |"
        for rule in BUILTIN_RULES
    ]
    head = ["# Rules", "", "| code | name | what it finds |", "|---|---|---|"]
    files["rules/README.md"] = "\n".join([*head, *rows]) + "\n"
    for remedy in BUILTIN_REMEDIES:
        kept = ", ".join(sorted(keeps.value for keeps in remedy.keeps)) or "nothing"
        facts = (
            f"Touches: {remedy.change.value}. Keeps: {kept}. "
            f"Offered for: {', '.join(sorted(remedy.treats)) or 'nothing by itself'}."
        )
        card = page_of(remedy).strip()
        title, _, rest = card.partition("\n")
        files[f"remedies/{remedy.name}.md"] = (
            f"# {remedy.name}\n\n{title}\n\n{facts}\n{rest.rstrip()}\n"
        )
    rows = [
        f"| [{remedy.name}]({remedy.name}.md) | {remedy.change.value} "
        f"| {title_of(page_of(remedy))} | {', '.join(sorted(remedy.treats))} |"
        for remedy in BUILTIN_REMEDIES
    ]
    head = [
        "# Remedies",
        "",
        "| name | touches | what it does | offered for |",
        "|---|---|---|---|",
    ]
    files["remedies/README.md"] = "\n".join([*head, *rows]) + "\n"
    return files


def differences(wanted: dict[str, str], folder: Path = HERE) -> list[str]:
    """Return the names of the pages that are missing, stale or left over."""
    there = {
        f"{name}/{path.name}": path.read_text(encoding="utf-8")
        for name in FOLDERS
        for path in (folder / name).glob("*.md")
    }
    return sorted(
        name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name)
    )


def main(arguments: list[str]) -> int:
    """Write the pages, or compare them; returns the exit code."""
    wanted = pages()
    different = differences(wanted)
    if arguments == ["--check"]:
        for name in different:
            print(f"docs/{name} differs from the docstring; run: make docs")
        return 1 if different else 0
    for name in different:
        if name in wanted:
            (HERE / name).parent.mkdir(exist_ok=True)
            (HERE / name).write_text(wanted[name], encoding="utf-8")
        else:
            (HERE / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
