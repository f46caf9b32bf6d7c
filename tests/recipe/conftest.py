from pathlib import Path
from textwrap import dedent

import pytest


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write files into a folder that becomes the working directory."""
    monkeypatch.chdir(tmp_path)

    def write_file(name, text):
        file = Path(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
        return name

    return write_file
