"""Twins of odd networks, and trials of depth."""

import copy
import math
from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
from torch import nn

from unvanish.core.depths import Trend
from unvanish.core.errors import UnvanishError
from unvanish.core.proofs import Endpoint, Job, Run
from unvanish.prove.depth import depth_trial
from unvanish.prove.experiment import Experiment
from unvanish.prove.partition import Partition
from unvanish.prove.stacks import repeats
from unvanish.prove.twins import chained, deepen, twins

BATCH = (torch.linspace(-1, 1, 32).reshape(4, 8), torch.tensor([0, 1, 2, 1]))


def seeded(build):
    def make(seed):
        torch.manual_seed(seed)
        return build()

    return make


def plain(depth=6):
    layers = [part for _ in range(depth) for part in (nn.Linear(16, 16), nn.Sigmoid())]
    return nn.Sequential(nn.Linear(8, 16), nn.Sigmoid(), *layers, nn.Linear(16, 3))


class Lists(nn.Module):
    """Lists side by side, walked by a number of the network's own."""

    def __init__(self, depth=8):
        super().__init__()
        self.depth, self.width = depth, 16
        self.first = nn.Linear(8, 16)
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(depth))
        self.last = nn.Linear(16, 3)

    def forward(self, x):
        x = self.first(x)
        for number in range(self.depth):
            x = torch.relu(self.norms[number](self.layers[number](x)))
        return self.last(x)


class Uneven(nn.Module):
    """One list is longer than the other, and the first and last layers have other shapes."""

    def __init__(self, depth=8):
        super().__init__()
        sizes = [8, *[16] * depth, 3]
        self.layers = nn.ModuleList(map(nn.Linear, sizes, sizes[1:]))
        self.norms = nn.ModuleList(nn.BatchNorm1d(16) for _ in range(depth))

    def forward(self, x):
        for layer, norm in zip(self.layers, self.norms, strict=False):
            x = torch.relu(norm(layer(x)))
        return self.layers[-1](x)


class Picked(Lists):
    """One block is used by its number."""

    def forward(self, x):
        x = self.first(x)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = torch.relu(norm(layer(x)))
        return self.last(x + self.layers[7](x))


class Idle(nn.Linear):
    """Has a bias and does not use it."""

    def forward(self, x):
        return nn.functional.linear(x, self.weight)


class Zipped(nn.Module):
    """Lists walked together as far as the shorter one goes; only one of them repeats itself."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(8, 16), nn.Linear(16, 3)
        self.layers = nn.ModuleList(nn.Linear(16, 16) for _ in range(4))
        self.norms = nn.ModuleList(nn.LayerNorm(16, eps=10.0**-k) for k in range(4, 8))

    def forward(self, x):
        x = self.stem(x)
        for layer, norm in zip(self.layers, self.norms, strict=False):
            x = torch.relu(norm(layer(x)))
        return self.head(x)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))

    def forward(self, x):
        return x + self.body(x)


class Named(nn.Module):
    """Blocks with numbered names, each called by its name."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(8, 16)
        self.block1, self.block2, self.block3, self.block4 = (Residual() for _ in range(4))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        x = self.block2(self.block1(self.stem(x)))
        return self.head(self.block4(self.block3(x)))


class Leaves(nn.Module):
    """Numbered layers whose functions are written in forward: no layer can be left out alone."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        return self.fc3(torch.tanh(self.fc2(torch.tanh(self.fc1(x)))))


class Heads(nn.Module):
    """Equal layers side by side."""

    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(8, 3) for _ in range(4))

    def forward(self, x):
        return sum(head(x) for head in self.heads)


class Tied(nn.Module):
    """The same block again and again."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Linear(8, 16), nn.Linear(16, 3)
        self.layers = nn.ModuleList([nn.Linear(16, 16)] * 6)

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


def dictionary():
    layers = {f"layer_{k}": nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for k in range(4)}
    return nn.Sequential(OrderedDict(layers | {"head": nn.Linear(8, 3)}))


def stages():
    """Two runs in one container, of which the second moves when the first shrinks."""
    first = [part for _ in range(4) for part in (nn.Linear(8, 8), nn.Tanh())]
    second = [part for _ in range(4) for part in (nn.Linear(12, 12), nn.ReLU(), nn.LayerNorm(12))]
    return nn.Sequential(*first, nn.Linear(8, 12), *second, nn.Linear(12, 3))


def count(model, kind=nn.Linear):
    return sum(isinstance(module, kind) for module in model.modules())


@pytest.mark.parametrize(
    ("build", "factors", "names", "linears"),
    [
        (plain, (0.5, 2), ["3 of 6 blocks", "12 blocks"], [5, 14]),
        (Lists, (0.25, 0.5, 2), ["2 of 8 blocks", "4 of 8 blocks", "16 blocks"], [4, 6, 18]),
        (Uneven, (0.5,), ["9 of 15 blocks"], [6]),
        (Named, (0.5, 1.5), ["2 of 4 blocks", "6 blocks"], [6, 14]),
        (dictionary, (0.25, 2), ["1 of 4 blocks", "8 blocks"], [2, 9]),
        (stages, (0.5, 2), ["4 of 8 blocks", "16 blocks"], [6, 18]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_twins_of_odd_networks(build, factors, names, linears):
    make = seeded(build)
    model = make(0)
    before = copy.deepcopy(model.state_dict())
    found = twins(model, factors, batch=BATCH, make=make)
    assert [name for name, _ in found] == names
    for (_, builder), number in zip(found, linears, strict=True):
        twin = builder()
        assert count(twin) == number
        assert twin(BATCH[0]).shape == (4, 3)
        twin(BATCH[0]).sum().backward()
        assert all(p.grad is not None for p in twin.parameters())
        twin.load_state_dict(twin.state_dict())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (Picked, "index 7 is out of range"),
        (Leaves, "no repeated blocks"),
        (Zipped, "norms.2.weight is not used"),
        (Heads, "heads.0 … heads.3 run side by side"),
        (lambda: nn.Linear(8, 3), "no repeated blocks"),
    ],
)
def test_what_has_no_twin_is_refused_with_the_reason(build, words):
    with pytest.raises(UnvanishError, match=words):
        twins(build(), (0.5,), batch=BATCH)


def test_a_finished_network_cannot_grow():
    model = plain()
    with pytest.raises(UnvanishError, match="one finished network"):
        twins(model, (2,), batch=BATCH)
    assert [name for name, _ in twins(model, (0.5,), batch=BATCH)] == ["3 of 6 blocks"]


def test_factors_that_come_to_the_same_are_told_once():
    assert len(twins(plain(), (0.5, 0.49, 0.99), batch=BATCH)) == 1


def test_blocks_that_are_added_have_weights_of_their_own():
    ((_, builder),) = twins(seeded(plain)(0), (3,), batch=BATCH, make=seeded(plain))
    weights = [m.weight for m in builder() if isinstance(m, nn.Linear) and m.weight.shape[0] == 16]
    inner = [weight for weight in weights if weight.shape[1] == 16]
    assert len(inner) == 18
    assert len({weight.sum().item() for weight in inner}) == 18


def test_what_is_left_keeps_its_weights():
    model = seeded(Lists)(0)
    ((_, builder),) = twins(model, (0.5,), batch=BATCH)
    twin = builder()
    assert torch.equal(twin.layers[3].weight, model.layers[3].weight)
    assert torch.equal(twin.first.weight, model.first.weight)


def test_what_no_block_uses_may_stay_unused():
    make = seeded(lambda: nn.Sequential(*(Idle(8, 8) for _ in range(4)), nn.Linear(8, 3)))
    assert len(twins(make(0), (0.5, 2), batch=BATCH, make=make)) == 2


def test_one_block_many_times_is_a_chain():
    (run,) = chained(Tied(), BATCH)
    assert run.count == 6


def test_blocks_within_blocks_are_not_counted():
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 5, enable_nested_tensor=False
    )
    (run,) = repeats(encoder)
    assert run.told(encoder).name == "layers.0 … layers.4"
    assert run.told(encoder).kind == "TransformerEncoderLayer"


def test_an_optimiser_follows_its_network():
    make = seeded(plain)
    for factor in (0.5, 2):
        model = make(0)
        inner = [m for m in model if isinstance(m, nn.Linear) and m.weight.shape == (16, 16)]
        slow = [p for layer in inner for p in layer.parameters()]
        rest = [p for p in model.parameters() if not any(p is each for each in slow)]
        optimizer = torch.optim.SGD([{"params": slow, "lr": 1e-4}, {"params": rest}], lr=0.1)
        deepen(model, factor, make=make, batch=BATCH, optimizer=optimizer)
        held = [p for group in optimizer.param_groups for p in group["params"]]
        assert {id(p) for p in held} == {id(p) for p in model.parameters()}
        assert len(held) == len(list(model.parameters()))
        assert len(optimizer.param_groups[0]["params"]) == 12 * factor


def experiment(build=plain, **told):
    x = torch.randn(48, 8, generator=torch.Generator().manual_seed(0))
    rows = (x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long())
    return Experiment(
        **{
            "target": "net.py",
            "make": seeded(build),
            "partition": Partition(
                training=rows, size=16, validation=(rows,), held_out=(rows,), by_rows=True
            ),
            "optimizer": lambda model: torch.optim.Adam(model.parameters(), lr=1e-2),
            "endpoint": Endpoint(name="accuracy"),
        }
        | told
    )


def test_a_run_of_another_depth_has_the_network_of_that_depth():
    tried = experiment()
    assert count(tried.subject(Job(depth=0.5)).model) == 5
    subject = tried.subject(Job(seed=3))
    assert count(subject.model) == 8
    held = {id(p) for g in tried.subject(Job(depth=2)).optimizer.param_groups for p in g["params"]}
    assert len(held) == 2 * 14


class Scripted:
    """Answers with losses in place of training."""

    name, jobs = "scripted", 1

    def __init__(self, losses):
        self.losses = losses

    def run(self, _experiment, jobs):
        for job in jobs:
            loss = self.losses[job.depth][job.seed]
            if isinstance(loss, str):
                yield Run(job=job, failed=loss)
            else:
                lost = "" if math.isfinite(loss) else "the loss is nan at step 7"
                yield Run(job=job, losses=(2.0, loss), steps=9, parameters=5, diverged=lost)

    def close(self):
        pass


@pytest.mark.parametrize(
    ("own", "half", "trend", "words"),
    [
        ((1.9, 1.8, 1.9), (0.1, 0.2, 0.1), Trend.WORSE, "with 6 blocks the training loss ends hig"),
        ((0.1, 0.2, 0.1), (0.9, 0.8, 0.9), Trend.BETTER, "ends lower than with 3"),
        ((0.10, 0.11, 0.12), (0.11, 0.10, 0.12), Trend.SAME, "ends alike"),
        # Both end at nearly nothing: ten times as much of it is no degradation.
        ((0.0010, 0.0011, 0.0010), (0.0001,) * 3, Trend.SAME, "ends alike"),
        ((2.0, 2.01, 1.99), (1.99, 2.0, 2.0), Trend.INCONCLUSIVE, "none of them learns"),
        ((1.9, 0.1, 1.9), (0.1, 0.2, 0.1), Trend.INCONCLUSIVE, "could be chance"),
        ((math.nan,) * 3, (0.1, 0.2, 0.1), Trend.WORSE, "higher"),
        ((1e7, 1.9, 2.0), (0.1, 0.2, 0.1), Trend.WORSE, "higher"),
        (("out of memory", 1.9, 1.9), (0.1, 0.2, 0.1), Trend.INCONCLUSIVE, "out of memory"),
    ],
)
def test_what_the_losses_come_to(own, half, trend, words):
    found = depth_trial(experiment(), factors=(0.5,), engine=Scripted({1.0: own, 0.5: half}))
    assert found.trend is trend, found.said
    assert words in found.said


def test_a_shallower_network_that_is_better_outweighs_one_that_is_worse():
    losses = {1.0: (0.9, 0.8, 0.9), 0.5: (0.1, 0.1, 0.2), 0.2: (1.5, 1.6, 1.5)}
    found = depth_trial(experiment(), factors=(0.5, 0.2), engine=Scripted(losses))
    assert found.trend is Trend.WORSE
    assert [twin.blocks for twin in found.twins] == [1, 3, 6]
    assert found.twins[0].comparison.mean > 0 > found.twins[1].comparison.mean
    assert found.twins[0].comparison.confidence == pytest.approx(0.975)


def test_a_deeper_twin_is_the_deeper_of_the_two():
    losses = {1.0: (0.1, 0.1, 0.2), 2.0: (1.5, 1.6, 1.5)}
    found = depth_trial(experiment(), factors=(2.0,), engine=Scripted(losses))
    assert found.trend is Trend.WORSE
    assert "with 12 blocks" in found.said


def test_few_seeds_decide_nothing():
    losses = {1.0: (1.9, 1.9), 0.5: (0.1, 0.1)}
    found = depth_trial(experiment(), factors=(0.5,), seeds=2, engine=Scripted(losses))
    assert found.trend is Trend.INCONCLUSIVE
    assert "it takes 3" in found.said


def test_what_cannot_be_made_is_said():
    assert depth_trial(experiment(Leaves)).trend is Trend.CANNOT
    picked = depth_trial(experiment(Picked), factors=(0.5,))
    assert (picked.trend, "index 7" in picked.said) == (Trend.CANNOT, True)
    frozen = plain()
    one = experiment(make=lambda _seed: copy.deepcopy(frozen))
    losses = {1.0: (0.1,) * 3, 0.5: (0.9,) * 3}
    found = depth_trial(one, factors=(0.5, 2.0), engine=Scripted(losses))
    assert found.trend is Trend.BETTER
    assert "finished network" in found.twins[-1].refused


@pytest.mark.parametrize("told", [{"factors": (1.0,)}, {"factors": ()}, {"factors": (-1.0,)},
                                  {"steps": 0}, {"seeds": 0}, {"seeds": (1, 1)}])  # fmt: skip
def test_wrong_calls_are_refused(told):
    with pytest.raises(UnvanishError, match=r"factor|seeds"):
        depth_trial(experiment(), **told)


def test_a_trial_that_is_run():
    """Eight sigmoid layers against one: to the deep network all rows look the same."""
    seen = []
    tried = experiment(lambda: plain(8))
    found = depth_trial(tried, factors=(0.1,), steps=40, progress=seen.append)
    assert found.trend is Trend.WORSE, found
    assert len(seen) == 6
    assert not any(run.failed for run in seen)
    assert found.stacks[0].blocks == 8
    one, own = found.twins
    assert own.parameters - one.parameters == 7 * 272


def test_a_trial_that_is_repeated_gives_the_same():
    first, second = (depth_trial(experiment(), factors=(0.5,), steps=2) for _ in range(2))
    assert replace(first, seconds=0.0, twins=()) == replace(second, seconds=0.0, twins=())
    assert [twin.losses for twin in first.twins] == [twin.losses for twin in second.twins]
