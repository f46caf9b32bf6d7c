"""What networks of other people showed: each was missed, or blamed on the wrong thing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import unvanish
from unvanish.core.findings import Cause, Severity


def classes(samples=64, features=16, count=4):
    return torch.randn(samples, features), torch.randint(count, (samples,))


def mlp():
    return nn.Sequential(
        nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 4)
    )


def found(model, batch=None, loss=nn.functional.cross_entropy, **options):
    report = unvanish.checkup(model, batch or classes(), loss=loss, **options)
    return {f.code: f for f in report.findings if f.severity is not Severity.NOTE}


def test_scores_that_are_all_the_same_let_nothing_learn():
    class Same(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.head = mlp(), nn.Linear(4, 1)

        def forward(self, x):
            return self.head(self.net(x)).expand(-1, 4)

    finding = found(Same())["UV502"]
    assert finding.severity is Severity.ERROR
    assert finding.causes == (Cause.LOSS_SATURATION,)
    assert "exactly zero everywhere" in finding.message


def test_a_loss_that_has_reached_zero_is_no_standstill():
    model = nn.Linear(4, 1)
    x = torch.randn(32, 4)
    assert not found(model, (x, model(x).detach()), loss=nn.MSELoss())


def test_clipping_to_next_to_nothing_is_named():
    model = mlp()
    plain = torch.optim.SGD(model.parameters(), lr=0.1)
    finding = found(model, optimizer=plain, clip_grad_norm=1e-7)["UV404"]
    assert "clipping the gradient to a norm of 1e-07" in finding.message
    assert not found(model, optimizer=plain, clip_grad_norm=1.0)


def test_a_tied_matrix_of_zeros_waits_for_itself():
    class Tied(nn.Module):
        def __init__(self, start):
            super().__init__()
            self.weight = nn.Parameter(start)

        def forward(self, x):
            return nn.functional.linear(nn.functional.linear(x, self.weight), self.weight.T)

    x = torch.randn(64, 16)
    assert (
        found(Tied(torch.zeros(8, 16)), (x, x), nn.MSELoss())["UV104"].causes[0] is Cause.ZERO_INIT
    )
    assert "UV104" not in found(Tied(torch.randn(8, 16) / 4), (x, x), nn.MSELoss())


def test_targets_at_both_ends_of_a_sigmoid_are_within_reach():
    model = nn.Sequential(nn.Linear(2, 6), nn.Sigmoid(), nn.Linear(6, 1), nn.Sigmoid())
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    assert "UV204" not in found(model, (x, y), nn.MSELoss())


def test_biases_that_drown_standardised_data_are_not_the_datas_fault():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 4)
            with torch.no_grad():
                self.cell.bias_ih_l0[:16] -= 20.0

        def forward(self, x):
            return self.head(self.cell(x)[0][:, -1])

    codes = found(Gated(), (torch.randn(64, 6, 8), torch.randint(4, (64,))))
    assert "UV503" not in codes
    assert "UV303" in codes


@pytest.mark.parametrize(
    ("blocker", "cause", "advice"),
    [
        (nn.Dropout(1.0), Cause.DETACHED_GRAPH, "let dropout pass the gradient on"),
        (nn.Threshold(1e9, 0.5), None, None),
    ],
)
def test_a_step_that_stops_the_gradient_is_not_called_an_activation(blocker, cause, advice):
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), blocker, nn.Linear(64, 4))
    codes = found(model)
    assert codes
    if cause is not None:
        finding = codes["UV101"]
        assert finding.causes[0] is cause
        assert advice in finding.help[0]


def test_weights_zeroed_during_the_forward_pass_are_a_zero_start():
    class Zeroed(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp()

        def forward(self, x):
            with torch.no_grad():
                for layer in self.net:
                    if isinstance(layer, nn.Linear):
                        layer.weight.zero_()
            return self.net(x)

    assert found(Zeroed())["UV101"].causes[0] is Cause.ZERO_INIT


def test_the_first_use_of_a_public_name_draws_no_random_number():
    import subprocess
    import sys

    code = (
        "import random, unvanish; random.seed(5); a = random.getstate(); "
        "unvanish.checkup; print(a == random.getstate())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_tuning_the_biases_of_a_network_that_was_never_trained_is_a_mistake():
    def biases(model):
        return torch.optim.Adam(p for name, p in model.named_parameters() if "bias" in name)

    model = mlp()
    finding = found(model, optimizer=biases(model))["UV504"]
    assert "3 parameters" in finding.message
    x, y = classes()
    trainer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(40):
        trainer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        trainer.step()
    assert "UV504" not in found(model, (x, y), optimizer=biases(model))


def test_the_players_of_a_game_are_no_mistake():
    class Game(nn.Module):
        def __init__(self):
            super().__init__()
            self.maker, self.judge = mlp(), nn.Sequential(nn.Linear(4, 64), nn.ReLU(), mlp64())

        def forward(self, z):
            return self.judge(self.maker(z)).squeeze(1)

    def mlp64():
        return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    batch = torch.randn(64, 16), torch.ones(64)
    loss = nn.functional.binary_cross_entropy_with_logits
    for part in ("maker", "judge"):
        game = Game()
        optimizer = torch.optim.Adam(getattr(game, part).parameters())
        assert "UV504" not in found(game, batch, loss, optimizer=optimizer)


def test_a_hundred_averages_over_a_graph_leave_nothing():
    torch.manual_seed(0)
    edges = torch.bernoulli(torch.full((128, 128), 0.1))
    average = edges + edges.T + torch.eye(128)
    average /= average.sum(1, keepdim=True)

    class Hops(nn.Module):
        def __init__(self, hops):
            super().__init__()
            self.hops, self.first, self.last = hops, nn.Linear(16, 32), nn.Linear(32, 4)

        def forward(self, x):
            h = torch.relu(self.first(x))
            for _ in range(self.hops):
                h = average @ h
            return self.last(h)

    batch = classes(128)
    finding = found(Hops(50), batch)["UV103"]
    assert finding.causes[0] is Cause.DEPTH_WITHOUT_SKIP
    assert "average fewer times" in finding.help[0]
    assert "UV103" not in found(Hops(3), batch)


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.rnn = nn.Embedding(4, 16), nn.LSTM(16, 32, batch_first=True)
        self.head = nn.Linear(32, 4)

    def forward(self, tokens):
        return self.head(self.rnn(self.words(tokens))[0][:, -1])


def test_a_first_token_that_no_gate_keeps_is_named_by_the_data():
    tokens = torch.randint(4, (64, 60), generator=torch.Generator().manual_seed(0))
    finding = found(Reader(), (tokens, tokens[:, 0]))["UV301"]
    assert "step 1 of 60" in finding.notes[-1]
    assert "UV301" not in found(Reader(), (tokens, tokens[:, -3]))
    assert "UV301" not in found(Reader(), (tokens, tokens.sum(1) % 4))


def test_a_price_in_dollars_is_out_of_reach_of_small_steps():
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 1))
    batch = torch.randn(64, 16), 3e5 + 5e4 * torch.randn(64, 1)

    def check(rate):
        return found(
            model,
            batch,
            nn.functional.mse_loss,
            optimizer=torch.optim.Adam(model.parameters(), rate),
        )

    assert "UV506" in check(1e-3)
    assert "UV506" not in check(1.0)


def test_batch_normalisation_bears_a_rise():
    """What weights before it gain in size, their steps lose in length."""

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(16, 64), nn.Linear(64, 4)
            self.blocks = nn.ModuleList(
                nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64))
                for _ in range(4)
            )

        def forward(self, x):
            x = self.first(x)
            for block in self.blocks:
                x = torch.relu(x + block(x))
            return self.last(x)

    for rate in (0.1, 0.3, 0.6):
        torch.manual_seed(0)
        model = Residual()
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        assert "UV404" not in found(model, optimizer=optimizer)
