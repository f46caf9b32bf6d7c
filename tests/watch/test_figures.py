"""What a watch reads, against the same figure computed the slow way in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runs import EventKind
from unvanish.watch import observe


def at(recording, quantity, path, step=0, function=""):
    """Return one value of a layer; None where it was not measured."""
    (layer,) = [x for x in recording.layers if x.path == path and x.function == function]
    series = recording.by_layer.get(quantity)
    return None if series is None else dict(series.of(layer)).get(step)


def over(recording, quantity):
    series = recording.by_step[quantity]
    return dict(zip(series.steps, series.values, strict=True))


def log10_rms(*tensors):
    numbers = torch.cat([t.detach().double().flatten() for t in tensors])
    return 0.5 * math.log10(float(numbers.square().mean()))


def net(*extra):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4), *extra)


def test_gradients_updates_and_weights_of_a_plain_step():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    x = torch.randn(32, 8)
    with observe(model, optimizer) as watch:
        hidden = []
        model[1].register_forward_hook(lambda _m, _a, h: hidden.append(h) or h.retain_grad())
        loss = model(x).square().mean()
        loss.backward()
        gradient = [p.grad.clone() for p in model[0].parameters()]
        before = [p.detach().clone() for p in model[0].parameters()]
        optimizer.step()
    recording = watch.recording
    after = list(model[0].parameters())
    moves = [a - b for a, b in zip(after, before, strict=True)]
    assert at(recording, LayerQuantity.LOG10_PARAM_GRAD_RMS, "0") == pytest.approx(
        log10_rms(*gradient), abs=1e-5
    )
    assert at(recording, LayerQuantity.LOG10_PARAM_RMS, "0") == pytest.approx(
        log10_rms(*after), abs=1e-5
    )
    assert at(recording, LayerQuantity.LOG10_UPDATE_RATIO, "0") == pytest.approx(
        log10_rms(*moves) - log10_rms(*before), abs=1e-4
    )
    assert at(recording, LayerQuantity.LOG10_ACTIVATION_GRAD_RMS, "1") == pytest.approx(
        log10_rms(hidden[0].grad), abs=1e-5
    )
    slope = 1 - hidden[0].detach().square()
    rms = float(slope.double().square().mean().sqrt())
    assert at(recording, LayerQuantity.SLOPE_RMS, "1") == pytest.approx(rms, rel=0.02)
    assert over(recording, StepQuantity.LOSS)[0] == float(loss.detach())
    assert at(recording, LayerQuantity.MOVED_FRACTION, "0") == 1.0


def test_raw_and_clipped_norm():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as watch:
        model(torch.randn(4, 8)).sum().backward()
        raw = float(nn.utils.clip_grad_norm_(model.parameters(), 0.01))
        optimizer.step()
    recording = watch.recording
    assert over(recording, StepQuantity.LOG10_GRAD_NORM)[0] == pytest.approx(math.log10(raw))
    clipped = over(recording, StepQuantity.LOG10_CLIPPED_GRAD_NORM)[0]
    assert clipped == pytest.approx(-2.0, abs=1e-4)


def test_micro_batches_are_summed():
    x = torch.randn(12, 8)
    found = []
    for parts in (1, 3):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with observe(model, optimizer) as watch:
            for part in x.chunk(parts):
                (model(part).square().mean() / parts).backward()
            optimizer.step()
        found.append(watch.recording)
    whole, accumulated = found
    assert len(accumulated.by_step[StepQuantity.LOSS].steps) == 1
    for quantity in (StepQuantity.LOSS, StepQuantity.LOG10_GRAD_NORM):
        assert over(accumulated, quantity)[0] == pytest.approx(over(whole, quantity)[0], rel=1e-5)
    for quantity in (
        LayerQuantity.LOG10_PARAM_GRAD_RMS,
        LayerQuantity.LOG10_ACTIVATION_GRAD_RMS,
        LayerQuantity.LOG10_UPDATE_RATIO,
    ):
        for path in ("0", "2"):
            value = at(whole, quantity, path)
            assert at(accumulated, quantity, path) == pytest.approx(value, abs=1e-5)


def test_the_loss_scale_is_taken_out():
    x = torch.randn(16, 8)
    found = []
    for scale in (1.0, 2.0**12):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=100)
        with observe(model, optimizer) as watch:
            loss = model(x).square().mean()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        found.append(watch.recording)
    plain, scaled = found
    assert over(scaled, StepQuantity.LOSS_SCALE)[0] == 2.0**12
    for quantity in (
        StepQuantity.LOSS,
        StepQuantity.LOG10_GRAD_NORM,
        StepQuantity.LOG10_CLIPPED_GRAD_NORM,
    ):
        assert over(scaled, quantity)[0] == pytest.approx(over(plain, quantity)[0], abs=1e-6)
    for quantity in (LayerQuantity.LOG10_PARAM_GRAD_RMS, LayerQuantity.LOG10_ACTIVATION_GRAD_RMS):
        value = at(plain, quantity, "0")
        assert at(scaled, quantity, "0") == pytest.approx(value, abs=1e-6)


def test_a_step_that_the_scaler_leaves_out_is_an_event_and_counts():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=100)
    with observe(model, optimizer) as watch:
        for _ in range(4):
            optimizer.zero_grad()
            scaler.scale(1e6 * model(torch.randn(16, 8)).square().mean()).backward()
            scaler.step(optimizer)
            scaler.update()
    recording = watch.recording
    skipped = [e.step for e in recording.events if e.kind is EventKind.SKIPPED]
    assert skipped[0] == 0
    assert recording.last_step == 3
    assert over(recording, StepQuantity.LOG10_GRAD_NORM)[0] == math.inf
    assert at(recording, LayerQuantity.MOVED_FRACTION, "0") is None


@pytest.mark.parametrize("size", [1e-25, 1e-30, 1e25])
@pytest.mark.parametrize("step", [0, 1])
def test_gradients_far_outside_of_float32_squares(size, step):
    """The first norm is taken in float64; a later one falls back on the sample."""
    torch.manual_seed(0)
    model = nn.Linear(4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with observe(model, optimizer) as watch:
        for number in range(step + 1):
            optimizer.zero_grad()
            factor = size if number == step else 1.0
            (model(torch.ones(8, 4)).sum() * factor).backward()
            optimizer.step()
    recording = watch.recording
    truth = math.log10(8 * size)
    assert at(recording, LayerQuantity.LOG10_PARAM_GRAD_RMS, "", step) == pytest.approx(
        truth, abs=1e-3
    )
    assert at(recording, LayerQuantity.LOG10_ACTIVATION_GRAD_RMS, "", step) == pytest.approx(
        math.log10(size), abs=1e-3
    )


def test_a_gradient_that_is_no_number_is_infinite_and_counted():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as watch:
        (model(torch.randn(4, 8)) * math.nan).sum().backward()
        optimizer.step()
    recording = watch.recording
    assert at(recording, LayerQuantity.LOG10_PARAM_GRAD_RMS, "0") == math.inf
    assert at(recording, LayerQuantity.NON_FINITE_GRAD_FRACTION, "0") == 1.0
    assert at(recording, LayerQuantity.LOG10_ACTIVATION_GRAD_RMS, "0") == math.inf
    assert [e.kind for e in recording.events] == [EventKind.NON_FINITE]


def test_weights_without_a_gradient_and_weights_that_do_not_move():
    model = net(nn.Linear(4, 4))
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as watch:
        model[:3](torch.randn(4, 8)).sum().backward()
        optimizer.step()
    recording = watch.recording
    assert at(recording, LayerQuantity.LOG10_PARAM_GRAD_RMS, "3") == -math.inf
    assert at(recording, LayerQuantity.ZERO_GRAD_FRACTION, "3") == 1.0
    assert at(recording, LayerQuantity.MOVED_FRACTION, "3") == 0.0
    assert at(recording, LayerQuantity.LOG10_UPDATE_RATIO, "3") == -math.inf
    assert at(recording, LayerQuantity.MOVED_FRACTION, "0") is None  # frozen on purpose
    assert at(recording, LayerQuantity.MOVED_FRACTION, "2") == 1.0


@pytest.mark.parametrize("spelling", ["module", "function", "method", "in place"])
def test_dead_units_are_dead_over_all_samples_of_the_window(spelling):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(4, 10)
            self.act = nn.ReLU(inplace=True)
            self.last = nn.Linear(10, 1)

        def forward(self, x):
            z = self.first(x)
            h = {
                "module": lambda: self.act(z),
                "function": lambda: F.relu(z),
                "method": lambda: z.relu(),
                "in place": lambda: torch.relu_(z),
            }[spelling]()
            return self.last(h)

    model = Net()
    with torch.no_grad():
        model.first.weight.zero_()
        model.first.bias.fill_(1.0)
        model.first.bias[:3] = -1.0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with observe(model, optimizer, every=10) as watch:
        for step in range(3):
            optimizer.zero_grad()
            if step == 2:
                with torch.no_grad():
                    model.first.bias[3] = -1.0  # off now, but on a moment ago
            model(torch.randn(8, 4)).sum().backward()
            optimizer.step()
    recording = watch.recording
    path, function = ("act", "") if spelling == "module" else ("first", "relu")
    dead = [at(recording, LayerQuantity.DEAD_FRACTION, path, s, function) for s in range(3)]
    assert dead == pytest.approx([0.3, 0.3, 0.3])
    slope = at(recording, LayerQuantity.SLOPE_RMS, path, 2, function)
    assert slope == pytest.approx(math.sqrt(0.6), abs=0.02)


def test_channels_are_units_of_a_convolution_and_features_of_a_linear_layer():
    model = nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Flatten(2), nn.Linear(36, 7), nn.ReLU())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with observe(model, optimizer) as watch:
        model(torch.randn(4, 1, 8, 8)).sum().backward()
        optimizer.step()
    assert {x.path: x.units for x in watch.recording.layers if x.units} == {"1": 5, "4": 7}


def test_saturation_and_cosine():
    model = nn.Sequential(nn.Linear(4, 64), nn.Sigmoid(), nn.Linear(64, 1))
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias[:32], model[0].bias[32:] = 30.0, 0.0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with observe(model, optimizer) as watch:
        model(torch.randn(16, 4)).sum().backward()
        optimizer.step()
    recording = watch.recording
    assert at(recording, LayerQuantity.SATURATED_FRACTION, "1") == 0.5
    assert at(recording, LayerQuantity.SAMPLE_COSINE, "1") == pytest.approx(1.0)
    assert at(recording, LayerQuantity.SATURATED_FRACTION, "0") is None


def test_tied_weights_stand_at_the_first_layer_alone():
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as watch:
        model(torch.randn(4, 4)).sum().backward()
        truth = float(nn.utils.get_total_norm([p.grad for p in model.parameters()]))
        optimizer.step()
    recording = watch.recording
    assert {x.path: x.parameters for x in recording.layers} == {
        "0": ("weight", "bias"), "1": (), "2": ("bias",)
    }  # fmt: skip
    norm = over(recording, StepQuantity.LOG10_GRAD_NORM)[0]
    assert norm == pytest.approx(math.log10(truth), abs=1e-6)


def test_alignment_of_equal_and_of_opposite_gradients():
    model = nn.Linear(4, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(8, 4)
    with observe(model, optimizer, every=10) as watch:
        for sign in (1, 1, -1, 1):
            optimizer.zero_grad()
            (model(x).sum() * sign).backward()
            optimizer.step()
    found = watch.recording.by_layer[LayerQuantity.GRAD_ALIGNMENT]
    assert dict(found.of(0)) == {0: pytest.approx(1), 1: pytest.approx(-1), 2: pytest.approx(-1)}


def test_a_game_of_two_counts_rounds_and_keeps_the_losses_apart_from_the_wrong_gradient():
    torch.manual_seed(0)
    generator, critic = nn.Linear(2, 3), nn.Linear(3, 1)
    first = torch.optim.SGD(critic.parameters(), lr=0.1)
    second = torch.optim.SGD(generator.parameters(), lr=0.1)
    truth = {}
    with observe({"g": generator, "c": critic}, [second, first], every=10) as watch:
        for _ in range(5):
            fake = generator(torch.randn(4, 2))
            first.zero_grad()
            critic(fake.detach()).square().mean().backward()
            truth.setdefault("c", log10_rms(*(p.grad for p in critic.parameters())))
            first.step()
            second.zero_grad()
            (-critic(fake).mean()).backward()
            truth.setdefault("g", log10_rms(*(p.grad for p in generator.parameters())))
            second.step()
    recording = watch.recording
    assert recording.last_step == 4
    assert [x.path for x in recording.layers] == ["g", "c"]
    for name, value in truth.items():
        found = at(recording, LayerQuantity.LOG10_PARAM_GRAD_RMS, name)
        assert found == pytest.approx(value, abs=1e-5)


class Recomputed(nn.Module):
    def __init__(self, inner, mode):
        super().__init__()
        self.inner, self.mode = inner, mode

    def forward(self, x):
        if self.mode is None:
            return self.inner(x)
        return checkpoint(self.inner, x, use_reentrant=self.mode)


def test_checkpointed_layers_are_counted_once():
    found = []
    for mode in (None, False, True):
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

        whole = Recomputed(model, mode)
        with observe(whole, optimizer) as watch:
            torch.manual_seed(1)
            whole(torch.randn(16, 8).requires_grad_()).square().mean().backward()
            optimizer.step()
        found.append(watch.recording)
    for recording in found[1:]:
        for quantity, series in found[0].by_layer.items():
            row = [float(v) for v in recording.by_layer[quantity].rows[0]]
            assert row == pytest.approx([float(v) for v in series.rows[0]], nan_ok=True), quantity


def test_a_closure_is_one_step():
    model = net()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)
    x = torch.randn(16, 8)

    def closure():
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        return loss

    first = float(closure().detach())
    with observe(model, optimizer) as watch:
        optimizer.step(closure)
    recording = watch.recording
    assert recording.last_step == 0
    assert over(recording, StepQuantity.LOSS)[0] == pytest.approx(first)
    assert at(recording, LayerQuantity.MOVED_FRACTION, "0") == 1.0


def test_own_losses_take_the_place_of_what_backward_saw():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as watch:
        for number in range(3):
            (1000 * model(torch.randn(4, 8)).sum()).backward()
            watch.loss(float(number))
            optimizer.step()
    assert over(watch.recording, StepQuantity.LOSS) == {0: 0.0, 1: 1.0, 2: 2.0}


def test_a_learning_rate_that_jumps_is_an_event():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with observe(model, optimizer) as watch:
        for step in range(6):
            model(torch.randn(4, 8)).square().mean().backward()
            if step == 3:
                optimizer.param_groups[0]["lr"] = 1.0
            optimizer.step()
    events = [(e.step, e.text) for e in watch.recording.events]
    assert events == [(3, "the learning rate rose from 0.01 to 1")]


def test_parameters_that_an_optimiser_gets_later_are_watched():
    model = net()
    optimizer = torch.optim.SGD(model[2].parameters(), lr=0.1)
    with observe(model, optimizer, every=1) as watch:
        for step in range(4):
            if step == 2:
                optimizer.add_param_group({"params": list(model[0].parameters())})
            optimizer.zero_grad()
            model(torch.randn(4, 8)).square().mean().backward()
            optimizer.step()
    series = watch.recording.by_layer[LayerQuantity.MOVED_FRACTION]
    (layer,) = [x for x in watch.recording.layers if x.path == "0"]
    assert [step for step, _ in series.of(layer)][-1] == 3
    assert layer.optimizer == 0


def test_layers_that_no_optimiser_moves_have_gradients_and_stay():
    model = net()
    forgotten = torch.optim.SGD(model[2].parameters(), lr=0.1)
    with observe(model, forgotten, every=2) as watch:
        for _ in range(4):
            forgotten.zero_grad()
            loss = model(torch.randn(16, 8)).square().mean()
            loss.backward()
            forgotten.step()
    recording = watch.recording
    assert [layer.optimizer for layer in recording.layers] == [-1, -1, 0]
    assert at(recording, LayerQuantity.LOG10_PARAM_GRAD_RMS, "0") > -10
    moved = [at(recording, LayerQuantity.MOVED_FRACTION, "0", step) for step in (0, 1, 2)]
    assert moved == [None, 0.0, 0.0]
    assert at(recording, LayerQuantity.LOG10_UPDATE_RATIO, "0", 2) is None
    assert at(recording, LayerQuantity.MOVED_FRACTION, "2", 2) == 1.0


def test_layers_that_another_optimiser_moves_are_not_called_still():
    model = net()
    watched, other = (torch.optim.SGD(model[at].parameters(), lr=0.1) for at in (2, 0))
    with observe(model, watched, every=2) as watch:
        for _ in range(4):
            model(torch.randn(16, 8)).square().mean().backward()
            watched.step()
            other.step()
    assert at(watch.recording, LayerQuantity.MOVED_FRACTION, "0", 2) == 1.0


def test_an_optimiser_that_calls_the_step_of_its_base_takes_one_step():
    class Careful(torch.optim.SGD):
        def step(self, closure=None):
            return super().step(closure)

    model = net()
    optimizer = Careful(model.parameters(), lr=0.1)
    with observe(model, optimizer, every=1) as watch:
        for _ in range(5):
            optimizer.zero_grad()
            model(torch.randn(16, 8)).square().mean().backward()
            optimizer.step()
    assert watch.recording.last_step == 4
    assert at(watch.recording, LayerQuantity.MOVED_FRACTION, "0", 3) == 1.0


def test_asking_in_the_middle_of_a_step_does_not_split_its_loss():
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(16, 8)
    with observe(model, optimizer, every=1) as watch:
        for _ in range(2):
            for half in x.chunk(2):
                model(half).square().mean().backward()
                watch.recording  # noqa: B018
            optimizer.step()
            optimizer.zero_grad()
    steps = watch.recording.by_step[StepQuantity.LOSS].steps
    assert steps == (0, 1)
    parts = [float(net()(half).square().mean().detach()) for half in x.chunk(2)]
    assert over(watch.recording, StepQuantity.LOSS)[0] == pytest.approx(sum(parts))


@pytest.mark.parametrize("by_name", [False, True])
def test_autocast_and_batch_of_a_model_of_tokens(by_name):
    model = nn.Sequential(nn.Embedding(10, 8), nn.Linear(8, 10))
    if by_name:
        model.forward = lambda tokens: nn.Sequential.forward(model, tokens)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with observe(model, optimizer) as watch:
        tokens = torch.randint(10, (6, 3))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(tokens=tokens) if by_name else model(tokens)
        logits.float().sum().backward()
        optimizer.step()
    conditions = watch.recording.conditions
    assert conditions.autocast == "bfloat16"
    assert conditions.batch == (0 if by_name else 6)
