"""A saved cure builds what was proven: anywhere, in a fresh process, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.curing.networks import SOURCE

from unvanish.core.errors import UnvanishError
from unvanish.core.reports import load_cure
from unvanish.curing import Cured
from unvanish.curing.saving import check_folder, exported

TRAIN = """
import json, sys
sys.path.insert(0, sys.argv[1])
import torch
from cured import batches, build, loss, optimizer
model = build(seed=3)
stepper, stream = optimizer(model), batches(3)
torch.manual_seed(7)
for _ in range(20):
    inputs, target = next(stream)
    stepper.zero_grad()
    value = loss(model(inputs), target)
    value.backward()
    stepper.step()
print(json.dumps([value.item(), stepper.param_groups[0]["lr"]]))
"""


def trained_by(cured: Cured) -> list[float]:
    import torch

    model = cured.build(seed=3)
    stepper, stream = cured.optimizer(model), cured.batches(3)
    torch.manual_seed(7)
    value = torch.zeros(())
    for _ in range(20):
        inputs, target = next(stream)
        stepper.zero_grad()
        value = cured.loss(model(inputs), target)
        value.backward()  # type: ignore[no-untyped-call]
        stepper.step()
    return [value.item(), stepper.param_groups[0]["lr"]]


def trained_from(folder: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", TRAIN, str(folder)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_fresh_process_elsewhere_trains_the_same_network(
    cured: Cured, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    saved = cured.export("out")
    assert saved.saved == "out"
    done = trained_from(tmp_path / "out", tmp_path_factory.mktemp("elsewhere"))
    assert done.stderr == ""
    assert json.loads(done.stdout) == trained_by(cured)


def test_what_is_in_the_folder(cured: Cured, tmp_path: Path) -> None:
    cured.export("out")
    files = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    assert files == {"cured.py", "report.json", "change.diff", "patched/net.py"}
    source = (tmp_path / "out" / "cured.py").read_text()
    assert 'REMEDIES = ("batch-norm",)' in source
    assert f"RATE_FACTOR = {cured.rate_factor!r}" in source
    assert str(tmp_path) not in source
    assert "BatchNorm1d" in (tmp_path / "out" / "patched" / "net.py").read_text()
    assert (tmp_path / "out" / "change.diff").read_text().startswith("--- net.py\n+++ net.py\n")
    assert repr(load_cure(tmp_path / "out" / "report.json").proof) == repr(cured.proof)


def trained_here(folder: Path) -> list[float]:
    import runpy

    import torch

    saved = runpy.run_path(str(folder / "cured.py"))
    model = saved["build"](seed=3)
    stepper, stream = saved["optimizer"](model), saved["batches"](3)
    torch.manual_seed(7)
    value = torch.zeros(())
    for _ in range(20):
        inputs, target = next(stream)
        stepper.zero_grad()
        value = saved["loss"](model(inputs), target)
        value.backward()  # type: ignore[no-untyped-call]
        stepper.step()
    return [value.item(), stepper.param_groups[0]["lr"]]


def test_the_network_that_was_edited_is_not_treated_twice(cured: Cured, tmp_path: Path) -> None:
    cured.export("out")
    (tmp_path / "net.py").write_bytes((tmp_path / "out" / "patched" / "net.py").read_bytes())
    with pytest.raises(UnvanishError, match=r"net.py has changed since .* treated") as caught:
        trained_here(tmp_path / "out")
    assert "unvanish cure net.py --save FOLDER" in caught.value.help


def test_a_cure_that_was_written_is_saved_without_remedies(cured: Cured, tmp_path: Path) -> None:
    expected = trained_by(cured)
    written = cured.write()
    assert (tmp_path / "net.py.orig").read_text() == SOURCE
    written.export("out")
    assert "REMEDIES = ()" in (tmp_path / "out" / "cured.py").read_text()
    assert trained_here(tmp_path / "out") == pytest.approx(expected, rel=1e-5)


def test_saving_again_replaces_what_was_saved(cured: Cured, tmp_path: Path) -> None:
    cured.export("out")
    (tmp_path / "out" / "__pycache__").mkdir()
    assert cured.export("out").saved == "out"


@pytest.mark.parametrize("name", ["notes.txt", "cured.py"])
def test_a_folder_with_other_things_is_left_alone(cured: Cured, tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_text("mine\n")
    with pytest.raises(UnvanishError, match=f"holds other things: {name}") as caught:
        cured.export("mine")
    assert caught.value.help == "--save mine/cured"
    assert [p.name for p in (tmp_path / "mine").iterdir()] == [name]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UnvanishError, match="is a file, not a folder"):
        check_folder(tmp_path / "out")


def test_where_nothing_is_changed_there_is_only_a_report(cured: Cured, tmp_path: Path) -> None:
    same = replace(cured, remedies=(), rate_factor=1.0, patch=None, receipts=(), after=None)
    assert exported(same, "out").saved == ""
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["report.json"]


def test_a_network_given_in_python_cannot_be_saved(cured: Cured) -> None:
    given = replace(cured, origin=replace(cured.origin, is_given=True))
    with pytest.raises(UnvanishError, match="came from Python"):
        given.export("out")


def test_a_report_alone_is_enough_to_save_and_to_write(cured: Cured, tmp_path: Path) -> None:
    cured.save("run.json")
    exported(load_cure("run.json"), "again")
    cured.export("first")
    texts = [(tmp_path / name / "cured.py").read_text() for name in ("again", "first")]
    assert texts[0] == texts[1]
