"""Pages come from docstrings, also where Python has thrown the docstrings away."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from unvanish.core.pages import PAGE_HEADINGS, page_of, sections_of, title_of
from unvanish.diagnose.rules.saturated import SaturatedActivation


@dataclass(frozen=True)
class Undocumented:
    limit: float = 1.0


class Outer:
    class Inner:
        """Nested page.

        ## What it measures
        Nothing.
        """


def test_the_page_is_the_clean_docstring_of_class_and_instance():
    page = page_of(SaturatedActivation)
    assert page == page_of(SaturatedActivation())
    assert title_of(page) == "Hidden activations sit on the flat part of their function."
    assert tuple(sections_of(page)) == PAGE_HEADINGS
    assert all(sections_of(page).values())
    assert "\n## Why it hurts\n" in page


def test_a_dataclass_signature_is_no_page():
    assert page_of(Undocumented) == ""


def test_a_class_without_a_source_file_has_an_empty_page():
    assert page_of(type("Made", (), {})) == ""


def test_nested_classes_are_found_in_the_source(monkeypatch):
    want = page_of(Outer.Inner)
    monkeypatch.setattr(Outer.Inner, "__doc__", None)
    assert page_of(Outer.Inner) == want
    assert want.startswith("Nested page.")


def test_pages_survive_stripped_docstrings():
    script = (
        "from unvanish.core.pages import page_of\n"
        "from unvanish.diagnose.rules import BUILTIN_RULES\n"
        "import hashlib, sys\n"
        "pages = ''.join(page_of(rule) for rule in BUILTIN_RULES)\n"
        "sys.stdout.write(hashlib.sha256(pages.encode()).hexdigest())\n"
    )
    path = [entry for entry in sys.path if entry]
    outputs = {
        subprocess.run(
            [sys.executable, *flags, "-c", f"import sys; sys.path[:0] = {path!r}\n{script}"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for flags in ([], ["-OO"])
    }
    assert len(outputs) == 1
    assert outputs != {""}
