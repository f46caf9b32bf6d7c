"""What is said of batches, losses and networks that do not fit each other."""

import math
from importlib import import_module

import pytest
import torch
from torch import nn

from unvanish.core.errors import BatchError, CouldNotMeasureError, OwnFaultError, TargetError
from unvanish.core.findings import Cause, Severity
from unvanish.diagnose import diagnose
from unvanish.observe import trace


def error_of(model, batch, loss=None, **options):
    with pytest.raises(BatchError, match=r"\w") as caught:
        trace(model, batch, loss, probe_steps=0, **options)
    return caught.value


def pair(width=4, classes=2):
    return torch.randn(6, width), torch.arange(6) % classes


def test_two_layers_that_do_not_fit_are_named():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(12, 2))
    error = error_of(model, pair())
    assert error.help == "make them agree: 0 gives 16 features, 2 takes 12"
    assert error.where.split()[0] == "2"


def test_a_batch_that_does_not_fit_the_first_layer():
    error = error_of(nn.Linear(4, 2), pair(5))
    assert error.help == "the batch gives 5 features, the model takes 4: change either"


def test_integers_for_a_layer_of_real_numbers():
    error = error_of(nn.Linear(4, 2), (torch.ones(6, 4).long(), torch.zeros(6).long()))
    assert ".float()" in error.help


def test_a_batch_of_one_sample_for_a_batch_norm():
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    error = error_of(model, (torch.randn(1, 4), torch.zeros(1).long()))
    assert error.help == "leave batches of one sample out: DataLoader(..., drop_last=True)"


def test_real_numbers_for_an_embedding():
    assert ".long()" in error_of(nn.Embedding(4, 2), (torch.ones(6), torch.zeros(6).long())).help


@pytest.mark.parametrize("loss", [None, "cross_entropy", nn.CrossEntropyLoss()])
def test_labels_out_of_range(loss):
    error = error_of(nn.Linear(4, 3), (torch.randn(6, 4), torch.arange(6) + 8), loss)
    assert error.what == "labels must lie in 0 … 2, the batch has 8"


def test_a_class_name_for_a_loss():
    assert error_of(nn.Linear(4, 2), pair(), "MSELoss").help == 'loss = "mse_loss"'
    assert error_of(nn.Linear(4, 2), pair(), "CrossEntropyLoss").help == 'loss = "cross_entropy"'


def test_a_loss_that_is_no_tensor():
    def loss(*_):
        return 1.0

    error = error_of(nn.Linear(4, 2), pair(), loss)
    assert error.what == "loss() returned float, not a tensor"
    assert ":" in error.where


def test_which_output_was_used_is_said():
    class Two(nn.Linear):
        def forward(self, x):
            return {"score": super().forward(x), "extra": x * 2}

    inferred = trace(Two(4, 2), pair(), probe_steps=0).context.inferred
    assert any("of the output it is given 'score', not 'extra'" in line for line in inferred)


def test_an_output_of_integers():
    class Best(nn.Linear):
        def forward(self, x):
            return super().forward(x).argmax(1)

    assert "a tensor of int64" in error_of(Best(4, 2), pair()).what


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (lambda z: torch.heaviside(z, torch.tensor(0.0)), "heaviside"),
        (lambda z: z // 0.5, "floor_divide"),
        (lambda z: torch.floor_divide(z, 0.5), "floor_divide"),
    ],
)
def test_a_step_that_torch_cannot_differentiate_is_named_with_its_line(step, name):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 2)

        def forward(self, x):
            return self.head(step(self.body(x)))

    error = error_of(Net(), pair())
    assert str(error).startswith(f"{name} passes no gradient")
    assert "test_errors.py" in error.where
    assert f"{name}(x.detach(), ...)" in error.help


def test_leaving_python_in_forward_is_one_error():
    class Quitting(nn.Linear):
        def forward(self, _):
            raise SystemExit(3)

    error = error_of(Quitting(4, 2), pair())
    assert error.what == "the network called sys.exit(3) while it was checked"


def test_an_interruption_passes():
    class Stopped(nn.Linear):
        def forward(self, _):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        trace(Stopped(4, 2), pair())


def test_endless_recursion_prints_its_frame_once():
    class Endless(nn.Linear):
        def forward(self, x):
            return self.again(x)

        def again(self, x):
            return self.again(x)

    error = error_of(Endless(4, 2), pair())
    assert error.what.startswith("the forward pass raised RecursionError")
    assert len(error.where.splitlines()) <= 3
    assert " times)" in error.where


def test_errors_of_ours_are_not_wrapped():
    def optimizer(_):
        raise TargetError("optimizer(model) raised TypeError: no")

    with pytest.raises(TargetError, match=r"^optimizer\(model\) raised TypeError"):
        trace(nn.Linear(4, 2), pair(), optimizer=optimizer)


def test_what_was_asked_of_the_memory_is_said():
    class Greedy(nn.Linear):
        def forward(self, _):
            raise RuntimeError("can't allocate memory: you tried to allocate 2048 bytes. Error 12")

    with pytest.raises(CouldNotMeasureError, match="memory: it tried to allocate 2 KiB"):
        trace(Greedy(4, 2), pair())


def raising(*_, **__):
    raise KeyError("a slot of ours")


def test_what_our_own_code_raises_is_not_blamed_on_the_forward_pass(monkeypatch):
    monkeypatch.setattr(import_module("unvanish.observe.lineage").Lineage, "add_call", raising)
    model = nn.Linear(4, 2)
    before = model.weight.detach().clone()
    with pytest.raises(OwnFaultError, match="unvanish itself failed, please report it") as caught:
        trace(model, pair(), probe_steps=0)
    assert caught.value.exit_code == 3
    assert "KeyError: 'a slot of ours'" in caught.value.what
    assert "UNVANISH_TRACEBACK" in caught.value.help
    assert torch.__version__ in caught.value.help
    assert isinstance(caught.value.__cause__, KeyError)
    assert torch.equal(model.weight, before)


def test_what_the_user_raises_stays_the_users_beside_a_fault_of_ours(monkeypatch):
    monkeypatch.setattr(import_module("unvanish.observe.lineage").Lineage, "add_call", raising)
    error_of(nn.Linear(4, 2), pair(5))


def test_the_users_code_does_not_meet_a_fault_of_ours(monkeypatch):
    met = []

    class Careful(nn.Linear):
        def forward(self, x):
            try:
                return super().forward(x)
            except Exception as error:
                met.append(error)
                raise

    monkeypatch.setattr(import_module("unvanish.observe.lineage").Lineage, "add_call", raising)
    with pytest.raises(OwnFaultError, match="KeyError"):
        trace(Careful(4, 2), pair(), probe_steps=0)
    assert not met


def test_a_step_that_we_fail_to_measure_is_a_gap(monkeypatch):
    monkeypatch.setattr(import_module("unvanish.observe.forward"), "measure", raising)
    recording = trace(nn.Linear(4, 2), pair(), probe_steps=0)
    assert any("unvanish itself failed" in gap.why for gap in recording.gaps)
    assert all(p.has_grad for p in recording.parameters)


def test_a_gradient_that_we_fail_to_measure_is_a_gap(monkeypatch):
    monkeypatch.setattr(import_module("unvanish.observe.backward").GradientSink, "visit", raising)
    recording = trace(nn.Linear(4, 2), pair(), probe_steps=0)
    assert any("the gradient of" in gap.what for gap in recording.gaps)
    assert all(p.has_grad for p in recording.parameters)


def test_a_fault_behind_the_forward_pass_is_ours_too(monkeypatch):
    monkeypatch.setattr(import_module("unvanish.observe.graph"), "_roles", lambda *_: None)
    with pytest.raises(OwnFaultError, match="TypeError"):
        trace(nn.Linear(4, 2), pair(), probe_steps=0)


def test_gaps_in_the_targets_that_the_loss_masks_are_fine():
    torch.manual_seed(0)
    target = torch.randn(16, 3)
    target[torch.rand(16, 3) < 0.3] = float("nan")

    def masked(output, wanted):
        known = torch.isfinite(wanted)
        return (output[known] - wanted[known]).square().mean()

    recording = trace(nn.Linear(4, 3), (torch.randn(16, 4), target), loss=masked)
    assert math.isfinite(recording.context.loss_value)


@pytest.mark.parametrize("role", ["input", "target"])
def test_a_batch_that_makes_the_loss_no_number_is_to_blame(role):
    inputs, target = torch.randn(16, 4), torch.randn(16, 3)
    (inputs if role == "input" else target)[2, 1] = float("nan")
    recording = trace(nn.Linear(4, 3), (inputs, target), loss=nn.MSELoss())
    assert [tensor.non_finite for tensor in recording.data] == [role == "input", role == "target"]
    (finding,) = diagnose(recording, select=["UV403"]).findings
    assert finding.severity is Severity.ERROR
    assert finding.causes[0] is Cause.INPUT_SCALE
    assert f"the {role} of the batch holds 1 NaN or infinite values of" in finding.notes[0]


class Jagged(nn.Module):
    """Samples of different lengths as one nested tensor."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        nested = torch.nested.nested_tensor([x[0, :3], x[1]], layout=torch.jagged)
        padded = torch.nested.to_padded_tensor(torch.sigmoid(self.layer(nested)), 0.0)
        return self.head(padded.mean(1))


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_refused_in_one_sentence():
    with pytest.raises(CouldNotMeasureError, match="works on nested tensors, which unvanish"):
        trace(Jagged(), (torch.randn(2, 5, 4), torch.randint(3, (2,))), loss="cross_entropy")
