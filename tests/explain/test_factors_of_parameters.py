"""The terms of a parameter's gradient, and the axes beside its size, against PyTorch's own."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unvanish.explain import explain, explain_site, parameter_terms
from unvanish.observe import trace


def seen_by(model, batch):
    """Run once and return what each module got, gave, and the gradient of the latter."""
    seen: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
    handles = []
    for name, part in model.named_modules():

        def hook(_, args, output, name=name):
            if isinstance(output, torch.Tensor) and output.requires_grad:
                output.retain_grad()
                seen.setdefault(name, []).append((args[0].detach(), output))

        handles.append(part.register_forward_hook(hook))
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    for handle in handles:
        handle.remove()
    return seen


def log10_norm(*tensors):
    return 0.5 * math.log10(sum(float(t.square().sum()) for t in tensors))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.norm = nn.LayerNorm(8)
        self.mix = nn.Linear(8, 8)
        self.conv = nn.Conv1d(8, 4, 3, padding=1, stride=2, groups=2)
        self.up = nn.ConvTranspose1d(4, 4, 3, stride=2, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        h = self.norm(self.embed(x))
        for _ in range(3):
            h = torch.tanh(self.mix(h))
        return self.head(self.up(torch.relu(self.conv(h.mT))).mean(-1))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    model = Net().double()
    batch = torch.randint(11, (16, 9)), torch.randint(3, (16,))
    recording = trace(model, batch, loss=F.cross_entropy, probe_steps=0)
    return model, recording, seen_by(model, batch)


def test_every_parameter_has_terms_that_add_up(net):
    model, recording, _ = net
    for name, parameter in model.named_parameters():
        terms = parameter_terms(recording, name)
        assert terms.log10_grad_norm == pytest.approx(log10_norm(parameter.grad), abs=1e-9)
        parts = (
            terms.log10_backward,
            terms.log10_forward,
            terms.log10_coherence,
            terms.log10_parametrisation,
        )
        assert math.fsum(parts) == pytest.approx(terms.log10_grad_norm, abs=1e-9)
        assert terms.log10_parametrisation == 0.0
        if name != "norm.weight":  # each feature of it meets a signal of size 1 on average only
            assert terms.log10_coherence <= 1e-9


def test_a_layer_called_three_times(net):
    _, recording, seen = net
    terms = parameter_terms(recording, "mix.weight")
    assert terms.log10_backward == pytest.approx(log10_norm(*(y.grad for _, y in seen["mix"])))
    assert terms.log10_forward == pytest.approx(log10_norm(*(x for x, _ in seen["mix"])))
    bias = parameter_terms(recording, "mix.bias")
    assert bias.log10_backward == pytest.approx(terms.log10_backward)
    assert bias.log10_forward == pytest.approx(0.5 * math.log10(3 * 16 * 9))


def test_a_kernel_meets_patches(net):
    model, recording, seen = net
    for name, layer in (("conv", model.conv), ("up", model.up)):
        ((x, y),) = seen[name]
        # |H| is what a kernel of ones would gather from the energies at every output.
        energy = x.square().sum(1, keepdim=True)
        ones = torch.ones(1, 1, 3).double()
        gather = F.conv1d if name == "conv" else F.conv_transpose1d
        patches = gather(energy, ones, stride=layer.stride, padding=layer.padding).sum()
        terms = parameter_terms(recording, f"{name}.weight")
        assert terms.log10_forward == pytest.approx(0.5 * math.log10(float(patches)))
        assert terms.log10_backward == pytest.approx(log10_norm(y.grad))


def test_a_weight_made_of_others_says_what_that_adds():
    torch.manual_seed(0)
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(8, 8))
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), layer, nn.Tanh(), nn.Linear(8, 3)).double()
    batch = torch.randn(16, 8).double(), torch.randint(3, (16,))
    recording = trace(model, batch, loss=F.cross_entropy, probe_steps=0)
    weight = layer.weight.detach().requires_grad_()
    inner = model[:2](batch[0])
    F.cross_entropy(model[3:](F.linear(inner, weight, layer.bias)), batch[1]).backward()
    for name, _ in layer.named_parameters():
        if "original" not in name:
            continue
        terms = parameter_terms(recording, f"2.{name}")
        made = terms.log10_grad_norm - terms.log10_parametrisation
        assert made == pytest.approx(log10_norm(weight.grad), abs=1e-9)
        assert terms.log10_parametrisation < 0.0


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        h = self.embed(x)
        self.parts = q, k, v = self.q(h), self.k(h), self.v(h)
        weights = (q @ k.mT / math.sqrt(8)).softmax(-1)
        return self.head((weights @ v).mean(1))


def test_attention_says_where_its_gradient_goes():
    torch.manual_seed(0)
    model = Attention().double()
    batch = torch.randint(11, (16, 9)), torch.randint(3, (16,))
    recording = trace(model, batch, loss=F.cross_entropy, probe_steps=0)
    (axis,) = explain(recording).axes.attention
    out = model(batch[0])
    grads = torch.autograd.grad(F.cross_entropy(out, batch[1]), model.parts)
    energies = [float(g.square().sum()) for g in grads]
    shares = [energy / sum(energies) for energy in energies]
    assert [axis.query, axis.key, axis.value] == pytest.approx(shares)
    assert 0.9 < axis.entropy <= 1.0


def test_tokens_and_samples_and_noise():
    torch.manual_seed(0)
    model = Attention().double()
    data = [(torch.randint(11, (6, 9)), torch.randint(3, (6,))) for _ in range(3)]
    recording = trace(model, data[0], loss=F.cross_entropy, probe_steps=0, data=data)
    axes = explain(recording).axes
    value = next(one for one in axes.layers if one.name.startswith("v "))
    model(data[0][0])
    v = model.parts[2]
    (g,) = torch.autograd.grad(F.cross_entropy(model.head(_mixed(model)), data[0][1]), v)

    def deviation(x):
        return float((x - x.mean(1, keepdim=True)).square().sum() / x.square().sum())

    assert value.grad_deviation == pytest.approx(deviation(g), abs=1e-9)
    assert 0.0 < value.deviation < 1.0
    assert -1.0 <= value.cosine <= 1.0
    assert value.rank >= 1.0
    assert set(dict(axes.signal_to_noise)) == {name for name, _ in model.named_parameters()}
    document = explain(recording).to_json()["axes"]
    assert document["layers"][0]["name"] == axes.layers[0].name


def _mixed(model):
    q, k, v = model.parts
    return ((q @ k.mT / math.sqrt(8)).softmax(-1) @ v).mean(1)


class Recurrent(nn.Module):
    def __init__(self, cell, steps=12):
        super().__init__()
        self.cell, self.head, self.steps = cell, nn.Linear(8, 3), steps

    def forward(self, x):
        state = torch.zeros(x.shape[0], 8).to(x)
        state = (state, state) if isinstance(self.cell, nn.LSTMCell) else state
        for t in range(self.steps):
            state = self.cell(x[:, t], state)
        return self.head(state[0] if isinstance(state, tuple) else state)


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_a_recurrence_reads_step_by_step(cell):
    torch.manual_seed(0)
    model = Recurrent(cell(4, 8)).double()
    batch = torch.randn(16, 12, 4).double(), torch.randint(3, (16,))
    recording = trace(model, batch, loss=F.cross_entropy, probe_steps=0)
    first = next(s.index for s in recording.signal_sites() if s.op == "tanh")
    explanation = explain_site(recording, first)
    (group,) = [t for t in explanation.ledger.children if t.repeats > 1]
    assert group.repeats in (11, 12)
    assert group.name.startswith(f"{group.repeats} x step of cell (")
    assert group.each == pytest.approx(group.log10_gain / group.repeats)
    assert [t.name.split()[1] for t in group.children] == [
        str(11 - t) for t in range(group.repeats)
    ]
    assert abs(explanation.residue) < 1e-9


def test_three_layers_over_time_have_steps_of_their_own():
    torch.manual_seed(0)
    model = nn.ModuleDict({"rnn": nn.RNN(4, 8, num_layers=3, batch_first=True)})

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = model["rnn"], nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    batch = torch.randn(16, 12, 4), torch.randint(3, (16,))
    recording = trace(Net(), batch, loss=F.cross_entropy, probe_steps=0)
    first = next(s.index for s in recording.signal_sites() if s.op == "tanh")
    explanation = explain_site(recording, first)
    assert abs(explanation.residue) < 1e-9
    assert any(t.repeats > 3 and " x step of rnn" in t.name for t in explanation.ledger.children)
