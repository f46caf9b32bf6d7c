"""Where `unvanish cure` would write to is tried before the trial; what fails later is told."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.show import cures

from unvanish.cli import app
from unvanish.cli.places import check_file, check_new_folder, file_of
from unvanish.core.errors import UnvanishError
from unvanish.core.patches import FileEdit, Patch, Safety
from unvanish.treat.patch.files import write

NETWORK = "from torch import nn\n\n\ndef model():\n    return nn.Linear(2, 2)\n"


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["cure", *args])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "there").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The targets that a trial was made of; each gives a cure written by hand."""
    made: list[str] = []

    def answering(target: str, **options: Any) -> Any:
        del options
        made.append(target)
        return cures.cure()

    monkeypatch.setattr("unvanish.curing.chain.cure", answering)
    return made


@pytest.mark.parametrize(
    ("options", "said", "help"),
    [
        (["--output", "there"], "File 'there' is a directory", "--help"),
        (["--output", "nowhere/a.json"], "there is no folder nowhere for --output", "mkdir -p"),
        (["--output", "file/a.json"], "file is a file, and --output", "--output a.json"),
        (["--output", "net.py"], "--output would overwrite net.py", "--output net.json"),
        (["--output", "./there/../net.py"], "would overwrite net.py", "net.json"),
        (["--output", f"{'a' * 300}.json"], "File name too long", "--output aaa"),
        (["--save", "file/cured"], "file is a file, and --save", "--save cured"),
        (["--save", "file"], "file is a file", "--save"),
        (["--save", "a" * 300], "File name too long", "--save aaa"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_trial(
    folder: Path, trials: list[str], options: list[str], said: str, help: str
) -> None:
    result = run("net.py", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert help in result.stderr
    assert trials == []
    assert (folder / "net.py").read_text() == NETWORK


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs a file system of /proc")
@pytest.mark.parametrize(
    "options", [["--output", "/proc/run.json"], ["--save", "/proc/cured"], ["--save", "/proc/1/a"]]
)
def test_a_file_system_that_takes_nothing_is_noticed(
    folder: Path, trials: list[str], options: list[str]
) -> None:
    del folder
    result = run("net.py", *options)
    assert result.exit_code == 2
    assert "cannot be written: " in result.stderr
    assert f"--> {options[1]}" in result.stderr
    assert trials == []


@pytest.mark.parametrize("target", ["net.py", "net.py:model"])
def test_a_read_only_network_is_not_to_be_edited(
    folder: Path, trials: list[str], target: str
) -> None:
    (folder / "net.py").chmod(0o444)
    result = run(target, "--write")
    assert result.exit_code == 2
    assert "the file is read-only, and --write could not edit it" in result.stderr
    assert "help: chmod u+w net.py" in result.stderr
    assert trials == []


def test_a_full_disk_is_noticed_before_the_trial(
    folder: Path, trials: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del folder

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    for options in (["--output", "a.json"], ["--save", "cured"], ["--write"]):
        result = run("net.py", *options)
        assert result.exit_code == 2
        assert "No space left on device" in result.stderr
    assert trials == []


def test_trying_leaves_nothing_behind(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    check_file(Path("run.json"), "--output", target="net.py")
    check_new_folder(Path("a/b/c"), "--save")
    check_new_folder(Path("there"), "--save")
    assert sorted(folder.rglob("*")) == before


def test_a_report_that_is_there_keeps_what_it_holds_until_the_end(folder: Path) -> None:
    (folder / "run.json").write_text("old")
    check_file(folder / "run.json", "--output")
    assert (folder / "run.json").read_text() == "old"
    (folder / "run.json").chmod(0o444)
    with pytest.raises(UnvanishError, match="the file of --output is read-only"):
        check_file(folder / "run.json", "--output")


def test_a_device_needs_no_room_beside_it() -> None:
    check_file(Path(os.devnull), "--output")


@pytest.mark.parametrize(
    ("target", "file"),
    [
        ("net.py", "net.py"),
        ("my.python/net.py:Net", "my.python/net.py"),
        ("package.pylib", ""),
        ("zoo:deep_sigmoid", ""),
    ],
)
def test_the_file_of_a_target(target: str, file: str) -> None:
    assert file_of(target) == file


Fault = Callable[[str], None]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Fault:
    """Let the writing of one file fail for want of space, when the trial is over."""
    write_text = Path.write_text

    def choose(name: str) -> None:
        def writing(path: Path, *args: Any, **options: Any) -> int:
            if path.name == name:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write_text(path, *args, **options)

        monkeypatch.setattr(Path, "write_text", writing)

    return choose


@contextmanager
def unchanged(path: Path) -> Iterator[None]:
    before = path.read_bytes()
    yield
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "name", "where"),
    [
        (["--output", "run.json"], "run.json", "run.json"),
        (["--save", "cured"], "report.json", "cured/report.json"),
        (["--save", "cured"], "change.diff", "cured/change.diff"),
    ],
)
def test_a_disk_that_is_full_in_the_end_takes_no_answer_away(
    folder: Path, trials: list[str], full: Fault, options: list[str], name: str, where: str
) -> None:
    patch = cures.cure().patch
    assert patch is not None
    for edit in patch.files:
        (folder / edit.path).write_text(edit.before)
    full(name)
    with unchanged(folder / "net.py"):
        result = run("net.py", *options)
    assert trials == ["net.py"]
    assert result.exit_code == 2
    assert "cured: the network as it is does not learn" in result.stdout
    assert "error: the file cannot be written: No space left on device" in result.stderr
    assert f"--> {where}" in result.stderr
    assert "show: unvanish show run.json" not in result.stdout


def test_a_file_that_cannot_be_edited_in_the_end_takes_no_answer_away(
    folder: Path, trials: list[str]
) -> None:
    result = run("net.py", "--write", "--output", "run.json")
    assert trials == ["net.py"]
    assert result.exit_code == 2  # the cure by hand edits model.py, which is not there
    assert "cured: the network as it is does not learn" in result.stdout
    assert "error: the file is gone, and is not written" in result.stderr
    assert (folder / "run.json").is_file()


@pytest.mark.parametrize("is_restored", [True, False])
def test_a_file_that_is_cut_off_while_it_is_written_is_put_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch, is_restored: bool
) -> None:
    import shutil

    copy = shutil.copy2

    def cut(path: Path, content: bytes) -> int:
        path.write_text("")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), len(content))

    def copying(source: Any, target: Any) -> Any:
        if str(source).endswith(".orig") and not is_restored:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return copy(source, target)

    monkeypatch.setattr(Path, "write_bytes", cut)
    monkeypatch.setattr(shutil, "copy2", copying)
    edit = FileEdit(path="net.py", before=NETWORK, after=NETWORK + "\n")
    patch = Patch(remedies=("he",), safety=Safety.RETRAIN, files=(edit,), agrees=True)
    with pytest.raises(UnvanishError, match="cannot be written: No space left") as caught:
        write(patch, verb="cure")
    if is_restored:
        assert (folder / "net.py").read_text() == NETWORK
        assert not (folder / "net.py.orig").exists()
        assert caught.value.help.startswith("nothing was changed")
    else:
        assert (folder / "net.py.orig").read_text() == NETWORK
        assert caught.value.help == "what it held is in net.py.orig: copy it back"
