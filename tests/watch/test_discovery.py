"""Models and optimisers are found as programs of all kinds use them."""

import copy
import gc
import os
import pickle
import warnings
import weakref

import pytest
import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.optim import optimizer as torch_optimizer

from unvanish.watch.discovery import Discovery


class Fake:
    """Keeps what it is given, and at which step of which optimiser that was."""

    def __init__(self):
        self.models = {}
        self.optimizers = []
        self.calls = []

    def start(self):
        self.began_with = list(self.models)

    def add(self, model=None, optimizer=None, name=""):
        if model is not None:
            self.models[name] = model
            model.register_forward_pre_hook(lambda *_: self.calls.append(name))
        if optimizer is not None:
            self.optimizers.append(optimizer)


@pytest.fixture
def looking():
    gc.collect()
    failures = []
    discovery = Discovery(Fake, failures.append)
    discovery.start()
    yield discovery
    discovery.stop()
    assert not failures


def net(width=4):
    return nn.Sequential(nn.Linear(width, 8), nn.ReLU(), nn.Linear(8, 1))


def step(optimizer, *outputs):
    optimizer.zero_grad()
    sum(output.sum() for output in outputs).backward()
    optimizer.step()


def test_one_model_is_found_at_its_first_call_and_has_no_name(looking):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    assert looking.watch is None
    output = model(torch.randn(3, 4))
    assert looking.watch.models == {"": model}
    assert looking.watch.optimizers == [optimizer]
    assert looking.watch.began_with == [""]
    assert looking.watch.calls == [""]  # its hook has run in the very call that led to it
    step(optimizer, output)
    model(torch.randn(3, 4))
    assert looking.watch.calls == ["", ""]
    assert looking.watch.optimizers == [optimizer]


@pytest.mark.usefixtures("looking")
def test_no_hook_on_modules_stays_where_all_models_are_known():
    model = net()
    assert not torch_module._global_forward_pre_hooks
    kept = torch.optim.SGD(model.parameters(), lr=0.1)
    assert torch_module._global_forward_pre_hooks
    model(torch.randn(3, 4))
    assert not torch_module._global_forward_pre_hooks
    del kept


def test_nobody_waits_for_the_model_of_an_optimiser_that_is_gone(looking):
    torch.optim.SGD(net().parameters(), lr=0.1)
    gc.collect()
    net()(torch.randn(3, 4))
    assert not torch_module._global_forward_pre_hooks
    assert looking.watch is None


def test_two_models_are_called_what_the_program_calls_them(looking):
    generator, critic = net(), net(1)
    first = torch.optim.Adam(generator.parameters())
    second = torch.optim.Adam(critic.parameters())
    for _ in range(2):
        step(second, critic(generator(torch.randn(3, 4)).detach()))
        step(first, critic(generator(torch.randn(3, 4))))
    assert looking.watch.models == {"generator": generator, "critic": critic}
    assert looking.watch.optimizers == [first, second]


def test_models_in_attributes_are_called_like_these(looking):
    class Trainer:
        def __init__(self):
            self.student, self.teacher = net(), net()
            self.both = [
                torch.optim.SGD(m.parameters(), lr=0.1) for m in (self.student, self.teacher)
            ]

        def train(self):
            for optimizer, each in zip(self.both, (self.student, self.teacher), strict=True):
                step(optimizer, each(torch.randn(2, 4)))

    Trainer().train()
    names = set(looking.watch.models)
    assert names in ({"student", "teacher"}, {"student", "each"}, {"each", "each_2"})


def test_the_outermost_module_is_the_model_though_it_is_never_called(looking):
    class Autoencoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = net(), net(1)
            self.scale = nn.Parameter(torch.ones(()))

        def loss(self, x):
            return self.scale * self.decoder(self.encoder(x)).pow(2).mean()

    model = Autoencoder()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step(optimizer, model.loss(torch.randn(3, 4)))
    assert looking.watch.models == {"": model}


def test_what_is_called_without_a_gradient_or_not_trained_is_passed_over(looking):
    frozen, model = net(), net(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with torch.no_grad():
        model(torch.randn(2, 1))
    features = frozen(torch.randn(2, 4))
    assert looking.watch is None
    step(optimizer, model(features))
    assert looking.watch.models == {"": model}


def test_a_second_optimiser_for_the_same_model_adds_no_model(looking):
    model = net()
    both = [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in (model[0], model[2])]
    output = model(torch.randn(3, 4))
    output.sum().backward()
    for each in both:
        each.step()
    third = torch.optim.Adam(model.parameters())
    step(third, model(torch.randn(3, 4)))
    assert looking.watch.models == {"": model}
    assert looking.watch.optimizers == [*both, third]


def test_a_later_model_is_found_too(looking):
    for width in (4, 5):
        model = net(width)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(20):
            step(optimizer, model(torch.randn(3, width)))
    assert list(looking.watch.models) == ["", "model"]
    assert len(looking.watch.optimizers) == 2


@pytest.mark.parametrize("way", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_an_optimiser_that_was_not_made_before_our_eyes(looking, way):
    model, optimizer = way((net(), None))
    model, optimizer = way((model, torch.optim.SGD(model.parameters(), lr=0.1)))
    step(optimizer, model(torch.randn(3, 4)))
    assert model in looking.watch.models.values()
    assert looking.watch.optimizers == [optimizer]


def test_an_optimiser_of_something_that_is_no_module(looking):
    point = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.SGD([point], lr=0.1)
    step(optimizer, (point - 1) ** 2)
    assert looking.watch.models == {}
    assert looking.watch.optimizers == [optimizer]


def test_data_parallel_is_looked_through():
    discovery = Discovery(Fake, pytest.fail)
    discovery.start()
    try:
        inner = net()
        model = nn.DataParallel(inner)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        step(optimizer, model(torch.randn(3, 4)))
        assert discovery.watch.models == {"": inner}
    finally:
        discovery.stop()


def test_nothing_listens_to_calls_once_something_is_compiled(looking):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    compiled = torch.compile(model, backend="eager")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step(optimizer, compiled(torch.randn(3, 4)))
    assert list(looking.watch.models.values()) == [compiled]


def test_objects_with_code_in_their_attributes_are_not_touched(looking):
    class Trap:
        def __getattribute__(self, name):
            raise AssertionError(f"{name} was read")

    class Lazy:
        @property
        def __class__(self):
            raise AssertionError("was asked for its class")

    trap, lazy = Trap(), Lazy()
    one, two = net(), net()
    for each in (one, two):
        optimizer = torch.optim.SGD(each.parameters(), lr=0.1)
        step(optimizer, each(torch.randn(2, 4)))
    assert len(looking.watch.models) == 2
    del trap, lazy


def test_what_goes_wrong_does_not_reach_the_program():
    failures = []

    def broken():
        raise RuntimeError("no watch")

    discovery = Discovery(broken, failures.append)
    discovery.start()
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step(optimizer, model(torch.randn(3, 4)))
    assert [str(error) for error in failures] == ["no watch"]
    assert not torch_module._global_forward_pre_hooks
    assert not torch_optimizer._global_optimizer_pre_hooks


def test_stopping_leaves_torch_as_it_was():
    before = (torch.optim.Optimizer.__init__, torch.compile)
    discovery = Discovery(Fake, pytest.fail)
    discovery.start()
    assert (torch.optim.Optimizer.__init__, torch.compile) != before
    torch.optim.SGD(net().parameters(), lr=0.1)
    discovery.stop()
    assert (torch.optim.Optimizer.__init__, torch.compile) == before
    assert not torch_module._global_forward_pre_hooks
    assert not torch_optimizer._global_optimizer_pre_hooks


def test_optimisers_of_earlier_cells_are_found_at_their_first_step_or_call():
    model, unused = net(), net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    leftover = torch.optim.SGD(unused.parameters(), lr=0.1)
    discovery = Discovery(Fake, pytest.fail)
    discovery.start(existing=True)
    try:
        for _ in range(20):
            step(optimizer, model(torch.randn(3, 4)))
        assert [*discovery.watch.models.values()] == [model]
        assert discovery.watch.optimizers == [optimizer]
        assert not torch_module._global_forward_pre_hooks  # nobody waits for the leftover for ever
    finally:
        discovery.stop()
    del leftover


def test_no_model_is_kept_alive(looking):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step(optimizer, model(torch.randn(3, 4)))
    looking.watch.models.clear()
    looking.watch.optimizers.clear()
    alive = weakref.ref(model)
    del model, optimizer
    gc.collect()
    assert alive() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_finds_nothing(looking):
    child = os.fork()
    if child == 0:
        model = net()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        step(optimizer, model(torch.randn(3, 4)))
        os._exit(0 if looking.watch is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.usefixtures("looking")
def test_nothing_random_is_drawn():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    model = net()
    torch.set_rng_state(before)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step(optimizer, model(torch.ones(3, 4)))
    assert torch.equal(torch.get_rng_state(), before)
