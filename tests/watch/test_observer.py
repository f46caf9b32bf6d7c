"""Starting, stopping and asking a watch, and what happens when something goes wrong in it."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import weakref
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.nn.modules import module as torch_module

import unvanish
from unvanish.core.errors import UnvanishError
from unvanish.core.glossary import LayerQuantity, StepQuantity
from unvanish.core.runfile import read_run
from unvanish.core.runs import EventKind
from unvanish.watch import observe
from unvanish.watch.cadence import is_sampled, is_whole
from unvanish.watch.rounds import Rounds


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def train(model, optimizer, steps=1):
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(6, 4)).square().mean().backward()
        optimizer.step()


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


def test_which_steps_are_sampled():
    assert [s for s in range(160) if is_sampled(s, 50)] == [0, 1, 2, 4, 8, 16, 32, 50, 100, 150]
    assert [s for s in range(40) if is_whole(s, 1)] == [0, 1, 2, 4, 8, 10, 16, 20, 30, 32]
    assert all(is_whole(s, 50) for s in range(500) if is_sampled(s, 50))


@pytest.mark.parametrize(
    ("turns", "steps"), [("aaa", 3), ("ababab", 3), ("bababa", 3), ("aaabaaab", 6), ("aab", 2)]
)
def test_rounds_are_counted_by_the_optimiser_that_steps_most(turns, steps):
    rounds, count = Rounds(), 0
    for each in set(turns):
        rounds.expect(ord(each))
    for each in turns:
        if rounds.has_stepped(ord(each)):
            count += 1
            rounds.next()
        if rounds.stepped(ord(each)):
            count += 1
            rounds.next()
    assert abs(count - steps) <= 1


def test_the_public_name_watches():
    model = net()
    optimizer = sgd(model)
    with unvanish.observe(model, optimizer, every=10, target="a test") as watch:
        train(model, optimizer, 12)
        assert watch.step == 12
        assert watch.last_step == 11
    recording = watch.recording
    assert recording.is_ended
    assert recording.last_step == 11
    assert recording.conditions.target == "a test"
    assert recording.conditions.batch == 6
    assert recording.by_step[StepQuantity.LOSS].steps == tuple(range(12))
    assert [layer.path for layer in recording.layers] == ["0", "1", "2"]


def test_the_file_can_be_read_while_the_run_goes_on(tmp_path):
    model = net()
    optimizer = sgd(model)
    file = tmp_path / "run.sqlite"
    with observe(model, optimizer, every=2, file=file) as watch:
        train(model, optimizer, 5)
        meanwhile = read_run(file)
        assert not meanwhile.is_ended
        assert meanwhile.by_step[StepQuantity.LOSS].steps[:2] == (0, 1)
        with pytest.raises(UnvanishError, match="there already"):
            observe(model, optimizer, file=file)
    watch.save(tmp_path / "copy.sqlite")
    saved = read_run(tmp_path / "copy.sqlite")
    assert saved.layers == watch.recording.layers
    assert saved.is_ended


def test_the_diagnosis_and_its_text():
    model = net()
    optimizer = sgd(model)
    with observe(model, optimizer) as watch:
        train(model, optimizer, 20)
    assert watch.diagnosis.verdicts
    assert "SGD" in watch.text(width=80)
    assert watch.to_json()


def test_what_is_no_model_and_no_optimiser():
    with pytest.raises(UnvanishError, match="int is no model"):
        observe(3)
    with pytest.raises(UnvanishError, match="str is no optimiser"):
        observe(net(), ["adam"])
    with pytest.raises(UnvanishError, match="every=0"):
        observe(net(), every=0)


def test_models_and_optimisers_may_come_later():
    first, second = net(), net()
    optimizers = sgd(first), sgd(second)
    with observe(first, optimizers[0], every=1) as watch:
        train(first, optimizers[0], 3)
        watch.add(second, optimizers[1], name="second")
        watch.add(second, optimizers[1])
        for _ in range(3):
            train(first, optimizers[0])
            train(second, optimizers[1])
    recording = watch.recording
    assert [layer.path for layer in recording.layers] == [
        "0", "1", "2", "second/0", "second/1", "second/2"
    ]  # fmt: skip
    series = recording.by_layer[LayerQuantity.LOG10_UPDATE_RATIO]
    assert [step for step, _ in series.of(3)][-1] == 5


@pytest.mark.parametrize(
    ("home", "part"),
    [
        ("unvanish.watch.taps.Tap.read_output", "activations"),
        ("unvanish.watch.taps.Tap.read_gradient", "activations"),
        ("unvanish.watch.parameters.ParameterGroup.before_step", "parameters"),
        ("unvanish.watch.sampler.Sampler._unscaled", "the loss"),
        ("unvanish.watch.sampler.put_taps", "activations"),
        ("unvanish.watch.flat.Flat.fetch", "samples"),
    ],
)
def test_what_fails_in_the_watch_is_told_and_does_not_reach_the_run(monkeypatch, home, part):
    def broken(*_args, **_options):
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(home, broken)
    model = net()
    optimizer = sgd(model)
    with observe(model, optimizer, every=1) as watch:
        train(model, optimizer, 3)
    monkeypatch.undo()
    events = [e for e in watch.recording.events if e.kind is EventKind.NOT_MEASURED]
    told = [e.text for e in events if e.text.startswith(part)]
    assert told == [f"{part} could not be looked at: RuntimeError: a bug of ours"]
    assert watch.recording.last_step == 2
    assert not torch_module._has_any_global_hook()


def test_copies_and_pickles_in_a_sampled_step_hold_nothing_of_the_watch():
    model = net()
    optimizer = sgd(model)
    with observe(model, optimizer, every=1):
        train(model, optimizer)
        data = pickle.dumps(model)
        twin = copy.deepcopy(model)
        torch.save(model, io.BytesIO())
    assert b"unvanish" not in data
    assert not any(m._forward_hooks for m in twin.modules())


def test_evaluation_between_steps_is_not_measured():
    model = net()
    optimizer = sgd(model)
    with observe(model, optimizer, every=1) as watch:
        train(model, optimizer)
        with torch.no_grad():
            model(1000 * torch.randn(6, 4))
        train(model, optimizer)
    series = watch.recording.by_layer[LayerQuantity.ACTIVATION_RMS]
    assert max(value for _, value in series.of(0)) < 10.0


def test_gradients_of_no_loss_are_not_measured():
    model = net()
    optimizer = sgd(model)
    with observe(model, optimizer) as watch:
        x = torch.randn(6, 4, requires_grad=True)
        out = model(x)
        torch.autograd.grad(1e6 * out.sum(), x, retain_graph=True)
        out.sum().backward()
        optimizer.step()
    series = watch.recording.by_layer[LayerQuantity.LOG10_ACTIVATION_GRAD_RMS]
    assert dict(series.of(2)) == {0: pytest.approx(0.0)}


def test_without_activations():
    model = net()
    optimizer = sgd(model)
    with observe(model, optimizer, activations=False) as watch:
        train(model, optimizer, 2)
    assert LayerQuantity.ACTIVATION_RMS not in watch.recording.by_layer
    assert LayerQuantity.LOG10_UPDATE_RATIO in watch.recording.by_layer


def test_every_sample_is_told():
    model = net()
    optimizer = sgd(model)
    heard = []
    with observe(model, optimizer, every=10) as watch:
        watch.on_sample.append(lambda step, numbers: heard.append((step, set(numbers))))
        train(model, optimizer, 5)
    assert [step for step, _ in heard] == [0, 1, 2, 4]
    assert {"loss", "log10_grad_norm", "learning_rate", "seconds"} <= heard[0][1]


def test_nothing_grows_with_the_run():
    model = net()
    optimizer = sgd(model)
    with observe(model, optimizer, every=5):
        train(model, optimizer, 150)
        gc.collect()
        before = sum(type(each) is torch.Tensor for each in gc.get_objects())
        train(model, optimizer, 300)
        gc.collect()
        after = sum(type(each) is torch.Tensor for each in gc.get_objects())
    assert after <= before + 2


def test_a_graph_is_not_kept_alive_by_its_loss():
    model = net()
    optimizer = sgd(model)
    with observe(model, optimizer):
        hidden = model(torch.randn(2, 4))
        alive = weakref.ref(hidden)
        hidden.sum().backward()
        optimizer.step()
        del hidden
        gc.collect()
        assert alive() is None


def test_a_trainers_wrapper_around_an_optimiser_is_seen_through():
    class Wrapper:
        def __init__(self, optimizer):
            self.optimizer = optimizer

    model = net()
    optimizer = sgd(model)
    with observe(model, [Wrapper(optimizer)]) as watch:
        train(model, optimizer, 3)
    assert watch.recording.last_step == 2


def test_what_was_watched_is_let_go_of_at_the_end():
    model = net()
    optimizer = sgd(model)
    with observe(model, optimizer, every=2) as watch:
        train(model, optimizer, 7)
    alive = [weakref.ref(model), weakref.ref(optimizer), weakref.ref(model[0].weight)]
    del model, optimizer
    gc.collect()
    assert [each() for each in alive] == [None, None, None]
    assert (watch.step, watch.last_step) == (7, 6)
    assert watch.recording.last_step == 6
    assert watch.diagnosis.verdicts


def test_what_is_thrown_away_in_the_middle_is_let_go_of():
    first, second = net(), net()
    optimizers = [sgd(first), sgd(second)]
    with observe({"first": first, "second": second}, optimizers, every=2) as watch:
        train(first, optimizers[0], 5)
        alive = [weakref.ref(first), weakref.ref(first[0].weight), weakref.ref(optimizers[0])]
        optimizers[0] = None
        del first
        gc.collect()
        assert [each() for each in alive] == [None, None, None]
        train(second, optimizers[1], 6)
        third = net()
        more = torch.optim.Adam(third.parameters())
        watch.add(third, more, name="third")
        train(third, more, 6)
    run = watch.recording
    assert [layer.path for layer in run.layers if layer.parameters] == [
        "first/0", "first/2", "second/0", "second/2", "third/0", "third/2"
    ]  # fmt: skip
    assert [layer.optimizer for layer in run.layers if layer.parameters] == [0, 0, 1, 1, 2, 2]
    assert [one.name for one in run.conditions.optimizers] == ["SGD", "SGD", "Adam"]
    updates = run.by_layer[LayerQuantity.LOG10_UPDATE_RATIO]
    of = {layer.path: [s for s, _ in updates.of(layer)] for layer in run.layers}
    assert max(of["first/0"]) < min(of["second/0"]) < min(of["third/0"])
    assert not [event for event in run.events if event.kind is EventKind.NOT_MEASURED]


def test_a_model_that_gets_another_optimiser_goes_on_being_watched():
    model = net()
    optimizer = sgd(model)
    with observe(model, optimizer, every=2) as watch:
        train(model, optimizer, 5)
        optimizer = torch.optim.Adam(model.parameters())
        gc.collect()
        watch.add(optimizer=optimizer)
        train(model, optimizer, 5)
        alive = weakref.ref(model)
        del optimizer
        gc.collect()
        assert alive() is model
        del model
        gc.collect()
        assert alive() is None
    run = watch.recording
    updates = run.by_layer[LayerQuantity.LOG10_UPDATE_RATIO]
    assert [step for step, _ in updates.of(0)] == [0, 1, 2, 4, 6, 8]
    assert [layer.optimizer for layer in run.layers if layer.parameters] == [1, 1]


class SharpnessAware(torch.optim.Optimizer):
    """SAM as it is usually written: up to the worst point nearby, and down from where it was."""

    def __init__(self, parameters, radius, **settings):
        super().__init__(parameters, {"radius": radius, **settings})
        self.base_optimizer = torch.optim.SGD(self.param_groups, **settings)

    @torch.no_grad()
    def first_step(self):
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter]["at"] = parameter.clone()
            parameter.add_(parameter.grad.sign(), alpha=self.param_groups[0]["radius"])
        self.zero_grad()

    @torch.no_grad()
    def second_step(self):
        for parameter in self.param_groups[0]["params"]:
            parameter.copy_(self.state[parameter]["at"])
        self.base_optimizer.step()

    def step(self, closure):
        self.first_step()
        with torch.enable_grad():
            closure()
        self.second_step()


@pytest.mark.parametrize("is_closure", [False, True])
def test_two_passes_a_step_of_a_sharpness_aware_optimiser(is_closure):
    model = net()
    optimizer = SharpnessAware(model.parameters(), radius=0.5, lr=0.1)
    norms, ratios = [], []
    with observe(model, optimizer, every=1) as watch:
        for _ in range(3):
            x = torch.randn(6, 4)

            def closure(x=x):
                loss = model(x).square().mean()
                loss.backward()
                return loss

            before = model[0].weight.detach().clone(), model[0].bias.detach().clone()
            optimizer.zero_grad()
            closure()
            if is_closure:
                optimizer.step(closure)
            else:
                optimizer.first_step()
                closure()
                optimizer.second_step()
            gradients = [p.grad for p in model.parameters()]
            norms.append(torch.cat([g.flatten() for g in gradients]).norm().log10().item())
            after = model[0].weight.detach(), model[0].bias.detach()
            moved = sum((a - b).square().sum() for a, b in zip(after, before, strict=True))
            size = sum(b.square().sum() for b in before)
            ratios.append(0.5 * (moved / size).log10().item())
    run = watch.recording
    assert run.last_step == 2
    found = [value for _, value in run.over(StepQuantity.LOG10_GRAD_NORM)]
    assert found == pytest.approx(norms, abs=1e-4)
    updates = dict(run.series(LayerQuantity.LOG10_UPDATE_RATIO, 0))
    assert list(updates.values()) == pytest.approx(ratios, abs=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_model_is_the_same_and_is_not_hooked():
    def losses(watching):
        torch._dynamo.reset()
        model = net()
        compiled = torch.compile(model, backend="aot_eager")
        optimizer = sgd(model)
        found = []
        torch.manual_seed(1)
        with watching(compiled, optimizer) as watch:
            for _ in range(4):
                optimizer.zero_grad()
                loss = compiled(torch.randn(6, 4)).square().mean()
                loss.backward()
                optimizer.step()
                found.append(loss.detach())
        return watch, found, torch._dynamo.utils.counters["stats"]["unique_graphs"]

    try:
        _, alone, graphs = losses(lambda *_: nullcontext())
        torch._dynamo.utils.counters.clear()
        watch, watched, watched_graphs = losses(lambda m, o: observe(m, o, every=1))
    finally:
        torch._dynamo.reset()
    assert all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))
    assert watched_graphs <= graphs
    recording = watch.recording
    assert len(recording.conditions.unwatched) == 1
    assert "torch.compile" in recording.conditions.unwatched[0]
    assert LayerQuantity.LOG10_PARAM_GRAD_RMS in recording.by_layer
    assert LayerQuantity.ACTIVATION_RMS not in recording.by_layer
    assert [layer.path for layer in recording.layers] == ["0", "2"]
