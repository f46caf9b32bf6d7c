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


def test_adam_at_the_rate_of_gradient_descent_replaces_a_plain_network():
    def stack(layer):
        inner = [layer() for _ in range(5)]
        return nn.Sequential(nn.Linear(16, 64), *inner, nn.Linear(64, 4))

    class Skip(nn.Sequential):
        def forward(self, x):
            return x + super().forward(x)

    def plain():
        return nn.Sequential(nn.ReLU(), nn.Linear(64, 64))

    def normalised():
        return nn.Sequential(nn.ReLU(), nn.Linear(64, 64), nn.BatchNorm1d(64))

    def skipped():
        return Skip(nn.LayerNorm(64), nn.ReLU(), nn.Linear(64, 64))

    def check(layer, rate):
        torch.manual_seed(0)
        model = stack(layer)
        return found(model, optimizer=torch.optim.Adam(model.parameters(), rate))

    finding = check(plain, 0.1)["UV404"]
    assert finding.severity is Severity.WARNING
    assert "3 steps replace the layers one after another" in finding.message
    assert "UV404" not in check(plain, 1e-2)
    assert "UV404" not in check(normalised, 0.03)
    assert "UV404" not in check(skipped, 0.03)


def test_a_rate_that_is_swapped_with_the_weight_decay_moves_nothing():
    torch.manual_seed(0)
    model = mlp()
    swapped = torch.optim.SGD(model.parameters(), lr=5e-6, momentum=0.9, weight_decay=0.05)
    assert "moves no weight" in found(model, optimizer=swapped)["UV404"].message
    meant = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-6)
    assert "UV404" not in found(model, optimizer=meant)


def test_a_rate_is_too_large_because_the_gradient_grows():
    """Twenty layers of twice the He variance: at the He start the same rate trains."""

    def check(gain):
        torch.manual_seed(0)
        layers = [nn.Linear(64, 64) for _ in range(20)]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            layer.weight.data *= gain
        inner = [part for layer in layers for part in (layer, nn.ReLU())]
        model = nn.Sequential(nn.Linear(16, 64), *inner, nn.Linear(64, 4))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
        return found(model, optimizer=optimizer)

    assert check(2**0.5)["UV404"].causes[0] is Cause.INIT_TOO_LARGE
    assert "UV404" not in check(1.0)


def test_a_large_eps_undoes_a_rate_that_was_chosen_for_whole_steps():
    def check(rate, eps, scale=1.0):
        torch.manual_seed(0)
        model = mlp()
        with torch.no_grad():
            for weight in model.parameters():
                weight *= scale
        return found(model, optimizer=torch.optim.Adam(model.parameters(), rate, eps=eps))

    finding = check(1e-3, 0.1)["UV401"]
    assert finding.severity is Severity.WARNING
    assert finding.causes == (Cause.OPTIMISER_FLOOR,)
    assert "UV401" not in check(1.0, 1.0)  # a learning rate to match
    assert "UV401" not in check(1e-3, 1e-5)
    assert "UV401" not in check(1e-3, 0.1, scale=1.3)  # no fresh network


def test_adam_divides_by_zero_in_weights_of_float16():
    model = mlp().half()
    x, y = classes()

    def loss(output, target):
        return nn.functional.cross_entropy(output.float(), target)

    def check(eps):
        optimizer = torch.optim.Adam(model.parameters(), 1e-3, eps=eps)
        return found(model, (x.half(), y), loss, optimizer=optimizer)

    faults = check(1e-8)
    assert faults["UV401"].severity is Severity.ERROR
    assert faults["UV401"].causes == (Cause.PRECISION, Cause.OPTIMISER_FLOOR)
    assert "UV404" not in faults
    assert "UV401" not in check(1e-4)


class Body(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body, self.head = body, nn.Linear(64, 4)

    def forward(self, x):
        return self.head(self.body(x))


def test_a_body_that_was_never_trained_is_not_left_out_on_purpose():
    """As where it is unfrozen after the optimiser was built from what was not frozen."""
    body = nn.Sequential(nn.Linear(16, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64))
    model = Body(body)
    head = torch.optim.Adam(model.head.parameters(), 1e-3)
    assert "UV504" in found(model, optimizer=head)
    with torch.no_grad():  # a body that has learned something: a linear probe
        for weight in body.parameters():
            weight += 0.3 * torch.randn_like(weight)
    assert "UV504" not in found(model, optimizer=head)


def test_groups_by_number_of_axes_that_forget_the_convolutions():
    images = torch.randn(32, 1, 8, 8), torch.randint(4, (32,))
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 4),
    )

    def check(parameters):
        return found(model, images, optimizer=torch.optim.AdamW(list(parameters), 1e-3))

    assert "UV504" in check(p for p in model.parameters() if p.dim() <= 2)
    with torch.no_grad():  # trained before: the head and the norms are tuned
        for layer in (model[0], model[1], model[3], model[4]):
            layer.weight *= 1.3
    assert "UV504" not in check(p for p in model.parameters() if p.dim() <= 2)


def test_a_critic_beside_the_actor_was_forgotten_and_a_discriminator_behind_it_was_not():
    class Pair(nn.Module):
        def __init__(self, *, in_a_row):
            super().__init__()
            self.actor, self.critic = (
                mlp(),
                nn.Sequential(nn.Linear(4 if in_a_row else 16, 64), nn.ReLU(), nn.Linear(64, 1)),
            )
            self.in_a_row = in_a_row

        def forward(self, x):
            acts = self.actor(x)
            return acts, self.critic(acts if self.in_a_row else x)

    def loss(output, target):
        acts, value = output
        return nn.functional.cross_entropy(acts, target) + (value - 1.0).pow(2).mean()

    def check(model):
        optimizer = torch.optim.Adam(model.actor.parameters(), 1e-3)
        return found(model, loss=loss, optimizer=optimizer)

    assert "UV504" in check(Pair(in_a_row=False))
    assert "UV504" not in check(Pair(in_a_row=True))


def test_a_temperature_in_kelvin_is_out_of_reach_and_one_of_a_hundred_is_not():
    def check(mean, rate):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(16, 24), nn.Tanh(), nn.Linear(24, 1))
        batch = torch.randn(64, 16), mean + 2.0 * torch.randn(64, 1)
        optimizer = torch.optim.Adam(model.parameters(), rate)
        return found(model, batch, nn.functional.mse_loss, optimizer=optimizer)

    assert "UV506" in check(288.0, 5e-3)
    assert "UV506" not in check(288.0, 0.1)
    assert "UV506" not in check(30.0, 5e-3)


def test_stacked_layers_are_not_taken_for_two_directions():
    class Stacked(nn.Module):
        def __init__(self, layers, two_ways=False):
            super().__init__()
            self.lstm = nn.LSTM(2, 16, layers, batch_first=True, bidirectional=two_ways)
            self.head = nn.Linear(32 if two_ways else 16, 4)

        def forward(self, x):
            states = self.lstm(x)[0]
            return self.head(states.mean(1) if self.lstm.bidirectional else states[:, -1])

    def lost(model):
        torch.manual_seed(0)
        report = unvanish.checkup(model, (torch.randn(16, 120, 2), torch.randint(4, (16,))))
        return {f.code: f for f in report.findings}.get("UV301")

    one, two = lost(Stacked(1)), lost(Stacked(2))
    assert two.measured == pytest.approx(one.measured, rel=0.3)
    assert "gets gradient from its own loss" in lost(Stacked(2, two_ways=True)).message


class MadeInForward(nn.Module):
    """A layer, a norm or a state that forward() makes for itself."""

    def __init__(self, what):
        super().__init__()
        self.body, self.head, self.what = nn.Linear(16, 32), nn.Linear(32, 4), what

    def forward(self, x):
        h = torch.relu(self.body(x))
        if self.what == "layer":
            h = nn.Linear(h.shape[1], 32)(h)
        elif self.what == "convolution":
            h = nn.Conv1d(1, 1, 3, padding=1)(h[:, None])[:, 0]
        elif self.what == "matrix":
            h = h @ nn.Parameter(0.2 * torch.randn(32, 32))
        elif self.what == "norm":
            h = nn.LayerNorm(32)(h)
        elif self.what == "state":
            h = h + torch.randn(len(x), 32, requires_grad=True)
        elif self.what == "frozen":
            h = nn.Linear(32, 32).requires_grad_(False)(h)
        return self.head(torch.relu(h))


@pytest.mark.parametrize("what", ["layer", "convolution", "matrix"])
def test_a_layer_that_is_built_in_every_pass_learns_nothing(what):
    finding = found(MadeInForward(what))["UV504"]
    assert "made anew in every forward pass" in finding.message


@pytest.mark.parametrize("what", ["norm", "state", "frozen"])
def test_what_a_pass_makes_and_nobody_would_train_is_left_alone(what):
    assert "UV504" not in found(MadeInForward(what))


def clipped(last, shift=0.0):
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 4), *last)
    with torch.no_grad():
        model[2].bias[1] += shift
    return model


def test_a_class_that_a_relu_cuts_off_is_not_learned():
    finding = found(clipped([nn.ReLU()], shift=-5.0))["UV204"]
    assert "1 of 4 classes scores exactly zero on every sample" in finding.message
    assert "UV204" not in found(clipped([nn.ReLU()]))
    assert "UV204" not in found(clipped([], shift=-5.0))
