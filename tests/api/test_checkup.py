"""`unvanish.checkup` and the report it gives."""

import html
import json
import random
import warnings

import pytest
import torch
from torch import nn

import unvanish
from unvanish.api import Report
from unvanish.core.errors import BatchError, UnvanishError
from unvanish.core.findings import Diagnosis, Finding, Severity
from unvanish.core.records import Recording
from unvanish.core.verdicts import Clear, Found, NotMeasured


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


def pair(rows=32):
    x = torch.randn(rows, 6)
    return x, x[:, :3].argmax(dim=1)


def test_a_model_in_python_is_left_as_it_is():
    model, batch = net(), pair()
    weights = [p.clone() for p in model.parameters()]
    states = torch.get_rng_state(), random.getstate()
    report = unvanish.checkup(model, batch, loss="cross_entropy")
    assert isinstance(report, Report)
    assert report.target == "Sequential"
    assert report.worst == "clear", report
    assert report.findings == ()
    assert report.exit_code() == 0
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    assert all(p.grad is None for p in model.parameters())


def test_batch_from_data_and_batch_invented():
    report = unvanish.checkup(net(), data=[pair(8), pair(8), pair(8)], batches=3)
    assert report.recording.context.batch_size == 8
    assert report.recording.context.batches == 3
    report = unvanish.checkup(net())
    assert any("random normal numbers" in said for said in report.recording.context.inferred)


def test_target_and_its_own_batch_replaced(write):
    write("n.py", "from torch import nn\ndef model(): return nn.Conv2d(3, 4, 3)")
    batch = torch.randn(5, 3, 8, 8), torch.zeros(5, 6, 6).long()
    report = unvanish.checkup("n.py", batch)
    assert report.target == "n.py"
    assert report.recording.context.batch_size == 5


def test_path_and_optimizer(write, tmp_path):
    write("n.py", "from torch import nn\nmodel = nn.Linear(4, 2)")
    report = unvanish.checkup(
        tmp_path / "n.py",
        optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.5),
        clip_grad_norm=1.0,
    )
    assert report.recording.context.optimizer.name == "SGD"
    assert report.recording.context.optimizer.lr == 0.5
    assert report.recording.context.optimizer.clip_grad_norm == 1.0


def test_select():
    report = unvanish.checkup(net(), pair(), select=["UV403"])
    assert list(report.diagnosis.verdicts) == ["UV403"]


def test_recipe_seed_gives_the_same_report(write):
    write("n.py", "from torch import nn\ndef model(): return nn.Linear(4, 2)")
    values = [unvanish.checkup("n.py", seed=s).recording.context.loss_value for s in (1, 1, 2)]
    assert values[0] == values[1] != values[2]


def test_what_is_no_model():
    with pytest.raises(UnvanishError, match="the model is int"):
        unvanish.checkup(3)
    with pytest.raises(UnvanishError, match="device is for a TARGET") as caught:
        unvanish.checkup(net(), pair(), device="cuda")
    assert "model.to('cuda')" in caught.value.help
    with pytest.raises(BatchError, match="data is empty"):
        unvanish.checkup(net(), data=[])


def test_out_of_memory_is_one_error():
    class Greedy(nn.Linear):
        def forward(self, _):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")

    with pytest.raises(UnvanishError, match="memory") as caught:
        unvanish.checkup(Greedy(6, 3), pair())
    assert caught.value.exit_code == 3


def test_report_as_text_html_and_json():
    report = unvanish.checkup(net(), pair())
    assert str(report) == repr(report)
    assert "\x1b" not in repr(report)
    assert not repr(report).endswith("\n")
    assert report._repr_html_() == f"<pre>{html.escape(report.text())}</pre>"
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["target"] == "Sequential"


def test_save_and_load(tmp_path):
    report = unvanish.checkup(net(), pair())
    report.save(tmp_path / "run.json")
    again = Report.load(tmp_path / "run.json")
    assert again.target == report.target
    assert again.to_json() == report.to_json()


def test_exit_code_rejects_unknown_words():
    with pytest.raises(ValueError, match="fatal"):
        Report("x", Recording(), Diagnosis()).exit_code("fatal")


def test_exit_code_of_a_gap_beside_a_note():
    note = Finding(code="UV1", name="n", severity=Severity.NOTE, message="m")
    verdicts = {"UV1": Found((note,)), "UV2": NotMeasured("x"), "UV3": Clear()}
    report = Report("x", Recording(), Diagnosis(verdicts))
    assert report.exit_code() == 3
    assert report.exit_code("note") == 1


def test_what_the_forward_pass_prints_stays_where_it_was(capsys):
    class Loud(nn.Linear):
        def forward(self, x):
            print("loud")
            return super().forward(x)

    unvanish.checkup(Loud(6, 3), pair())
    out, err = capsys.readouterr()
    assert "loud" in out
    assert err == ""


def test_the_library_neither_prints_nor_warns(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unvanish.checkup(net(), pair())
    assert capfd.readouterr() == ("", "")
