"""A network whose file changes the working directory is found again, written and saved."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.curing.networks import SOURCE

from unvanish.cli import app
from unvanish.core.reports import load_cure

GOES = "import os\n\nos.chdir(os.path.dirname(os.path.abspath(__file__)))\n\n"
TABLE = "a,b,c,d,e,f,g,h,target\n" + "".join(
    f"{','.join(str((i * i * k + i) % 97) for k in range(1, 9))},{i % 2}\n" for i in range(320)
)


@pytest.mark.parametrize("data", [[], ["--data", "csv:table.csv"]], ids=["own", "named"])
def test_a_file_that_goes_into_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: list[str]
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "net.py").write_text(GOES + SOURCE)
    (tmp_path / "table.csv").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    with contextlib.chdir(tmp_path):
        result = CliRunner().invoke(
            app,
            [
                *("cure", "sub/net.py", "--remedy", "batch-norm", "--budget", "30steps", *data),
                *("--seeds", "3", "--engine", "inline", "--no-resume"),
                *("--output", "run.json", "--save", "cured", "--write"),
            ],
        )
        assert Path.cwd() == tmp_path
    assert result.exit_code in {0, 1}, result.output
    found = load_cure(tmp_path / "run.json")
    assert (tmp_path / "cured" / "report.json").is_file()
    assert found.proof is not None
    assert not any(run.failed for arm in found.proof.arms for run in arm.runs)
    if found.patch is not None:
        assert [edit.path for edit in found.patch.files] == ["sub/net.py"]
        assert found.written == ("sub/net.py",)
