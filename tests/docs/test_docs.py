"""The documentation cannot drift: its code runs, its commands exist, its links resolve."""

from __future__ import annotations

import functools
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

import unvanish
from unvanish.core.protocols import Rule, RunRule

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
_FENCE = re.compile(r"^(?P<mark>```+)(?P<language>[^\n`]*)\n(?P<body>.*?)^(?P=mark)$", re.M | re.S)
_COMMENT = re.compile(r"<!--.*?-->", re.S)
_LINK = re.compile(
    r"!?\[(?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\""
)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    body: str


def blocks(page: Path, language: str) -> list[Block]:
    """The blocks of a page whose info string is exactly this language."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start("body")) + 1, language, found["body"])
        for found in _FENCE.finditer(text)
        if found["language"].strip() == language
    ]


def commands(page: Path) -> list[str]:
    """Every line that a page tells the reader to type."""
    return [
        line.removeprefix("$ ").strip()
        for block in blocks(page, "console")
        for line in block.body.splitlines()
        if line.startswith("$ ")
    ]


# --------------------------------------------------------------------------------- Python


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name_of)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run in order and share their names, as a reader would type them.

    Trials are as short as they can be: what they come to is not what is tested here.
    """
    short = {"budget": "3steps", "seeds": 1, "remedy": "batch-norm", "resume": False}
    monkeypatch.setattr("unvanish.cure", functools.partial(unvanish.cure, **short))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page, "python"):
        # Blank lines in front make a traceback point at the line of the page.
        code = "\n" * (block.line - 1) + block.body
        exec(compile(code, str(page), "exec"), names)


# ------------------------------------------------------------------------------- commands


def check_command(line: str) -> None:
    """Fail where a command of a page does not exist."""
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    if words[:3] == ["python", "-m", "unvanish"]:
        words = words[2:]
    if words[:1] == ["unvanish"]:
        check_verb(words[1:])
    elif words[:1] == ["make"]:
        for target in (word for word in words[1:] if "=" not in word):
            assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.M), (
                f"no target: {line}"
            )
    elif "install" in words:
        for extra in re.findall(r"\[([a-z0-9,]+)\]", line):
            known_extras = PROJECT["optional-dependencies"].keys()
            assert set(extra.split(",")) <= known_extras, f"no extra: {line}"
    else:
        known = {"echo", "python", "git", "cd", "pytest", "cog", ".ci/run", "pre-commit", "source"}
        assert words[0].removeprefix(".venv/bin/") in known, f"unknown command: {line}"


def command_line() -> click.Group:
    group = importlib.import_module("unvanish.cli").app
    assert isinstance(group, click.Group)
    return group


def check_verb(words: list[str]) -> None:
    main = command_line()
    if words[0].startswith("-"):
        command: click.Command = main
    else:
        assert words[0] in main.commands, f"no verb {words[0]!r}"
        command = main.commands[words[0]]
        assert command.help, f"{words[0]} has no help"
    options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    for word in words:
        if word.startswith("--"):
            assert word.split("=")[0] in options, f"no option {word} of {command.name}"


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name_of)
def test_commands_exist(page: Path) -> None:
    for line in commands(page):
        check_command(line)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("unvanish chek net.py", "no verb 'chek'"),
        ("python -m unvanish chek net.py", "no verb 'chek'"),
        ("unvanish check net.py --formt json", "no option --formt of check"),
        ("make tests", "no target: make tests"),
        ("pip install 'unvanish[lab2]'", "no extra: pip install"),
        ("conda create", "unknown command: conda create"),
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line: str, complaint: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(complaint)):
        check_command(line)


def test_every_verb_has_help_and_stands_in_the_readme() -> None:
    main = command_line()
    readme = (ROOT / "README.md").read_text()
    for name, command in main.commands.items():
        assert command.help, name
        assert f"unvanish {name}" in readme, name


def test_make_targets_named_in_prose_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)`", page.read_text()):
            assert re.search(rf"^{target}:", makefile, re.M), f"{name_of(page)}: make {target}"


# ----------------------------------------------------------------------------------- rules


def rules() -> tuple[Rule | RunRule, ...]:
    on_looks = importlib.import_module("unvanish.diagnose.rules").BUILTIN_RULES
    on_runs = importlib.import_module("unvanish.diagnose.running.rules").BUILTIN_RUN_RULES
    return (*on_looks, *on_runs)


def test_rule_pages_are_the_docstrings() -> None:
    done = subprocess.run(
        [sys.executable, "docs/_pages.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_stale_missing_or_left_over_rule_page_is_noticed(tmp_path: Path) -> None:
    differences = importlib.import_module("docs._pages").differences
    (tmp_path / "rules").mkdir()
    (tmp_path / "remedies").mkdir()
    (tmp_path / "rules" / "UV101.md").write_text("old")
    (tmp_path / "remedies" / "gone.md").write_text("gone")
    wanted = {"rules/UV101.md": "new", "rules/UV102.md": "more"}
    assert differences(wanted, tmp_path) == [
        "remedies/gone.md",
        "rules/UV101.md",
        "rules/UV102.md",
    ]


def test_codes_named_in_the_documentation_exist() -> None:
    codes = {rule.code for rule in rules()}
    named = {code for page in PAGES for code in re.findall(r"\bUV\d{3}\b", page.read_text())}
    assert codes <= named
    assert named <= codes


# ----------------------------------------------------------------------------------- links


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.M)
    plain = (re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles)
    return set(plain)


def broken_links(page: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    text = _COMMENT.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))
    broken = []
    for found in _LINK.finditer(text):
        link = found[1] or found[2]
        if re.match(r"https?://|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        missing = not target.exists()
        if missing or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A title\n[good](#a-title) [bad](#b-title) [gone](gone.md)\n"
        '<img src="gone.svg">\n[![a badge](page.md)](page.md)\n'
    )
    assert broken_links(page) == ["#b-title", "gone.md", "gone.svg"]


# ---------------------------------------------------------------------------- cog's helper


def test_output_is_made_steady() -> None:
    steady = importlib.import_module("docs._cog").steady
    assert steady("net · cpu · 3.1 s\n  text   \n\n") == "net · cpu\n  text"
    assert steady("net · cpu\n  3 min 5 s\n\ntext") == "net · cpu\n\ntext"
    assert steady("30 layers · 2.5 decades\n  10 steps") == "30 layers · 2.5 decades\n  10 steps"
