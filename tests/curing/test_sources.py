"""A file that is edited or deleted while its network is tried: said, and nothing is written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.curing.networks import SOURCE

from unvanish.core.errors import UnvanishError
from unvanish.core.reports import load_cure
from unvanish.curing import Cured, cure
from unvanish.curing.saving import exported
from unvanish.curing.sources import Sources
from unvanish.prove.running import Progress

FINISHED = SOURCE.replace("def model():\n    return Net()\n", "model = Net()\n")
OTHER = SOURCE.replace("nn.Linear(8, 8)", "nn.Linear(8, 8, bias=False)")
SAID = "net.py was changed while the trial ran: the answer is about the network as it was; run"


def disturbed(source: str, change: Callable[[Path], object], engine: str = "inline") -> Cured:
    """Cure a network whose file is changed between its control and the first tries."""
    path = Path("net.py")
    path.write_text(source)

    def tell(progress: Progress) -> None:
        if progress.stage == "first tries" and not progress.done:
            change(path)

    return cure(
        "net.py",
        remedy="batch-norm",
        budget="30steps",
        seeds=3,
        engine=engine,
        jobs=1,
        resume=False,
        progress=tell,
    )


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "engine"), [(SOURCE, "inline"), (FINISHED, "local")], ids=["function", "network"]
)
def test_every_run_trains_the_network_as_it_was_loaded(
    here: Path, source: str, engine: str
) -> None:
    cured = disturbed(source, lambda path: path.write_text("raise RuntimeError"), engine)
    assert cured.proof is not None
    assert not any(run.failed for arm in cured.proof.arms for run in (*arm.runs, *arm.tries))
    assert cured.patch is not None
    assert cured.patch.files == ()
    assert cured.patch.unsafe.startswith(SAID)
    assert (here / "net.py").read_text() == "raise RuntimeError"


def test_what_was_edited_meanwhile_is_neither_written_nor_saved(here: Path) -> None:
    cured = disturbed(SOURCE, lambda path: path.write_text(OTHER))
    assert SAID in " ".join(cured.text().split())
    assert "paste instead" not in cured.text()
    assert "save:" not in cured.text()
    with pytest.raises(UnvanishError, match="changed while the trial ran"):
        cured.write()
    assert cured.export("out").saved == ""
    assert sorted(p.name for p in (here / "out").iterdir()) == ["change.diff", "report.json"]
    assert exported(load_cure("out/report.json"), "again").saved == ""
    assert (here / "net.py").read_text() == OTHER


@pytest.mark.parametrize("source", [SOURCE, FINISHED], ids=["function", "network"])
def test_a_file_that_is_deleted_meanwhile_is_said(here: Path, source: str) -> None:
    cured = disturbed(source, lambda path: path.unlink())
    assert cured.proof is not None
    assert not any(run.failed for arm in cured.proof.arms for run in (*arm.runs, *arm.tries))
    said = cured.patch.unsafe if cured.patch is not None else "".join(cured.warnings)
    assert "put it back and run again" in said
    assert not (here / "net.py").exists()


def test_a_file_that_is_saved_without_a_change_is_nobodys_affair(here: Path) -> None:
    del here
    cured = disturbed(SOURCE, lambda path: path.write_text(SOURCE))
    assert cured.patch is not None
    assert cured.patch.files


def test_where_nothing_is_to_be_edited_it_is_a_warning(here: Path) -> None:
    del here
    well = SOURCE.replace("torch.sigmoid(", "torch.relu(").replace("lr=0.1", "lr=0.1, momentum=0.9")
    Path("net.py").write_text(well)

    def tell(progress: Progress) -> None:
        del progress
        Path("net.py").write_text(OTHER)

    cured = cure("net.py", budget="60steps", seeds=3, engine="inline", resume=False, progress=tell)
    assert cured.patch is None
    assert [w[: len(SAID)] for w in cured.warnings] == [SAID]
    assert SAID in " ".join(cured.text().split())


def test_the_files_that_a_network_imports_are_watched(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = here / "watched_parts.py"
    path.write_text("WIDTH = 8\n")
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.delitem(sys.modules, "watched_parts", raising=False)  # and afterwards, too
    sources = Sources().joined([path, here / "gone.py", torch.__file__])
    assert list(sources.held) == [path]
    assert sources.said() == ""
    path.write_text("WIDTH = 9\n")
    assert sources.changed() == {path: "changed"}
    with sources.as_read():
        import watched_parts  # type: ignore[import-not-found]

        assert watched_parts.WIDTH == 8


def test_a_report_of_a_file_that_has_changed_since_saves_no_network(
    cured: Cured, tmp_path: Path
) -> None:
    cured.save("run.json")
    (tmp_path / "net.py").write_text(OTHER)
    with pytest.raises(UnvanishError, match=r"net.py has changed since the trial") as caught:
        exported(load_cure("run.json"), "out")
    assert "unvanish cure net.py" in caught.value.help
    assert not (tmp_path / "out").exists()
