"""Insertions around calls: every spelling of a call, nesting, copies, files, failures."""

import copy
import inspect
import io
import pickle
import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from unvanish.core.errors import UnvanishError
from unvanish.observe.batch import as_batch, call_model
from unvanish.treat.interception import is_shadowed, shadow
from unvanish.treat.surgery import Surgery
from unvanish.treat.turns import Turns


class Double(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2.0 * x


class Net(nn.Module):
    """Two layers with a function between, called as `spelling` does."""

    def __init__(self, spelling: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4), nn.Linear(4, 2)
        self.spelling = spelling

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.spelling(self.first(x)))


def net(spelling: Callable[[Tensor], Tensor]) -> Net:
    torch.manual_seed(0)
    return Net(spelling)


def expected(model: Net, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    return model.last(function(model.first(x)))


X = torch.linspace(-2.0, 2.0, 15).reshape(5, 3)


def in_place(x: Tensor) -> Tensor:
    x.sigmoid_()
    return x


def by_keyword(x: Tensor) -> Tensor:
    return torch.sigmoid(input=x)


def made_on_the_spot(x: Tensor) -> Tensor:
    return nn.Sigmoid()(x)


HIDDEN = {"act": [nn.Sigmoid()]}


def kept_in_a_dict(x: Tensor) -> Tensor:
    return HIDDEN["act"][0](x)


SPELLINGS = [
    torch.sigmoid,
    Tensor.sigmoid,
    F.sigmoid,
    in_place,
    by_keyword,
    made_on_the_spot,
    kept_in_a_dict,
]


@pytest.mark.filterwarnings("ignore:nn.functional.sigmoid is deprecated")
@pytest.mark.parametrize("spelling", SPELLINGS, ids=lambda s: getattr(s, "__name__", str(s)))
def test_every_spelling_of_a_function_is_met(spelling: Callable[[Tensor], Tensor]) -> None:
    model = net(spelling)
    Surgery(model).insert("", nn.ReLU(), "instead", function="sigmoid")
    torch.testing.assert_close(model(X), expected(model, X, torch.relu), rtol=0, atol=0)


@pytest.mark.parametrize("flag", [True, False])
def test_what_writes_in_place_goes_on_writing(flag: bool) -> None:
    def relu(x: Tensor) -> Tensor:
        F.relu(x, inplace=True)
        return x

    model = net(relu if flag else F.relu)
    Surgery(model).insert("", nn.PReLU(init=0.5), "instead", function="relu")
    slope = expected(model, X, lambda z: torch.where(z > 0, z, 0.5 * z))
    torch.testing.assert_close(model(X), slope, rtol=0, atol=0)
    model(X).sum().backward()
    assert model.get_parameter("prelu.weight").grad is not None


def test_children_calls_of_the_same_function_are_their_own() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = net(torch.tanh)

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(self.inner(x))

    model = Outer()
    before = torch.tanh(model.inner(X))
    Surgery(model).insert("", Double(), "after", function="tanh")
    torch.testing.assert_close(model(X), 2.0 * before, rtol=0, atol=0)


def test_one_call_of_many_is_meant() -> None:
    class Many(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([torch.tanh(x + i) for i in range(3)])

    model = Many()
    plain = model(X)
    Surgery(model).insert("", Double(), "after", function="tanh", call=1)
    factors = torch.tensor([1.0, 2.0, 1.0])[:, None, None]
    torch.testing.assert_close(model(X), plain * factors, rtol=0, atol=0)


class Shared(nn.Module):
    """One function for hidden layers and for the output."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(3))
        self.act = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.act(layer(x))
        return x


def exchanged_but_for_the_last(model: Shared) -> Turns:
    turns = Turns(frozenset({0, 1}), 3)
    surgery = Surgery(model)
    surgery.insert("", None, "begin", turns=turns)
    surgery.insert("act", nn.ReLU(), "instead", function="sigmoid", turns=turns)
    return turns


def by_hand(model: Shared, x: Tensor) -> Tensor:
    one, two, three = model.layers
    return torch.sigmoid(three(torch.relu(two(torch.relu(one(x))))))


def test_turns_are_counted_over_the_whole_pass_and_begin_anew() -> None:
    model = Shared()
    turns = exchanged_but_for_the_last(model)
    for _ in range(3):
        torch.testing.assert_close(model(X), by_hand(model, X), rtol=0, atol=0)
        assert turns.count == turns.expected


def test_turns_survive_a_pass_that_fails() -> None:
    model = Shared()
    exchanged_but_for_the_last(model)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        model(torch.zeros(2, 7))
    torch.testing.assert_close(model(X), by_hand(model, X), rtol=0, atol=0)


def test_turns_are_copied_with_the_network() -> None:
    model = Shared()
    exchanged_but_for_the_last(model)
    twin = copy.deepcopy(model)
    model(X)
    torch.testing.assert_close(twin(X), by_hand(twin, X), rtol=0, atol=0)


class Checkpointed(nn.Module):
    def __init__(self, *, reentrant: bool, whole: bool) -> None:
        super().__init__()
        self.inner, self.reentrant, self.whole = net(torch.sigmoid), reentrant, whole

    def forward(self, x: Tensor) -> Tensor:
        part = self.inner if self.whole else self.by_function
        return checkpoint(part, x, use_reentrant=self.reentrant)

    def by_function(self, x: Tensor) -> Tensor:
        return self.inner.last(torch.sigmoid(self.inner.first(x)))


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_around_a_module_recomputes_what_was_inserted(reentrant: bool) -> None:
    model = Checkpointed(reentrant=reentrant, whole=True)
    Surgery(model).insert("inner", nn.ReLU(), "instead", function="sigmoid")
    x = X.clone().requires_grad_()
    model(x).sum().backward()
    got, x.grad = x.grad, None
    expected(model.inner, x, torch.relu).sum().backward()
    assert got is not None
    torch.testing.assert_close(got, x.grad, rtol=0, atol=0)


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_checkpoint_that_would_recompute_the_old_function_is_refused(reentrant: bool) -> None:
    model = Checkpointed(reentrant=reentrant, whole=False)
    Surgery(model).insert("", nn.ReLU(), "instead", function="sigmoid")
    with pytest.raises(UnvanishError, match="checkpoint is drawn around a function"):
        model(X.clone().requires_grad_())
    with torch.no_grad():
        model(X.clone().requires_grad_())


@pytest.mark.parametrize("reentrant", [True, False])
def test_turns_refuse_a_checkpoint(reentrant: bool) -> None:
    class Twice(Shared):
        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = checkpoint(self.step, x, layer, use_reentrant=reentrant)
            return x

        def step(self, x: Tensor, layer: nn.Module) -> Tensor:
            return self.act(layer(x))

    model = Twice()
    exchanged_but_for_the_last(model)
    with pytest.raises(UnvanishError, match="cannot be told apart"):
        model(X.clone().requires_grad_()).sum().backward()


def test_the_weight_of_a_layer_is_an_argument() -> None:
    layer = nn.Sequential(nn.Linear(3, 4))
    weight, bias = layer[0].weight, layer[0].bias
    Surgery(layer).insert("0", Double(), "before", function="linear", argument=1)
    torch.testing.assert_close(layer(X), F.linear(X, 2.0 * weight, bias), rtol=0, atol=0)
    layer(X).sum().backward()
    assert weight.grad is not None


def test_a_weight_given_by_name_is_met() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(2, 3))

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, weight=self.w)

    model = Functional()
    Surgery(model).insert("", Double(), "before", function="linear", argument=1)
    torch.testing.assert_close(model(X), 2.0 * F.linear(X, model.w), rtol=0, atol=0)


def test_a_module_in_a_list_and_one_of_the_network_are_told_apart() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.known, self.hidden = nn.Sigmoid(), [nn.Sigmoid()]

        def forward(self, x: Tensor) -> Tensor:
            return self.known(x) + self.hidden[0](x)

    model = Mixed()
    Surgery(model).insert("", nn.ReLU(), "instead", function="sigmoid")
    torch.testing.assert_close(model(X), torch.sigmoid(X) + torch.relu(X), rtol=0, atol=0)


def test_nested_shadows_each_do_their_part() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.Tanh()))
    plain = model(X)
    surgery = Surgery(model)
    for path in ("", "0", "0.1"):
        surgery.insert(path, Double(), "after")
    surgery.insert("0.1", Double(), "after", function="tanh")
    torch.testing.assert_close(model(X), 16.0 * plain, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["sequential", "own forward", "children"])
def test_what_was_inserted_is_no_layer_of_a_module_that_runs_its_children(kind: str) -> None:
    class Own(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            for layer in self:
                x = layer(x)
            return x

    class Children(nn.Module):
        def __init__(self, *layers: nn.Module) -> None:
            super().__init__()
            for number, layer in enumerate(layers):
                self.add_module(f"layer{number}", layer)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.children():
                x = torch.tanh(layer(x))
            return x

    kinds = {"sequential": nn.Sequential, "own forward": Own, "children": Children}
    model = kinds[kind](nn.Linear(3, 3), nn.Tanh())
    plain = model(X)
    surgery = Surgery(model)
    surgery.insert("", Double(), "after", stem="twice")
    torch.testing.assert_close(model(X), 2.0 * plain, rtol=0, atol=0)
    assert "twice" in dict(model.named_children())
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        model(torch.zeros(2, 7))
    assert "twice" in dict(model.named_children())
    if kind == "children":
        surgery.insert("", nn.ReLU(), "instead", function="tanh", call=0)
        first = torch.relu(model.layer0(X))
        twice = torch.tanh(torch.tanh(first))
        torch.testing.assert_close(model(X), 2.0 * twice, rtol=0, atol=0)


def test_an_exception_inside_leaves_nothing_behind() -> None:
    def fails(_: Tensor) -> Tensor:
        raise ValueError("on purpose")

    hooks = torch.nn.modules.module._global_forward_hooks
    model = net(fails)
    Surgery(model).insert("", nn.ReLU(), "instead", function="sigmoid")
    for _ in range(2):
        with pytest.raises(ValueError, match="on purpose"):
            model(X)
    assert not hooks
    assert not torch.nn.modules.module._global_forward_pre_hooks
    model.spelling = torch.sigmoid
    torch.testing.assert_close(model(X), expected(model, X, torch.relu), rtol=0, atol=0)


def test_a_child_that_fails_and_is_caught_does_not_hide_later_calls() -> None:
    class Fails(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            raise ValueError("on purpose")

    class Catches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.child = Fails()

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.child(x)
            except ValueError:
                return torch.sigmoid(x)

    model = Catches()
    Surgery(model).insert("", nn.ReLU(), "instead", function="sigmoid")
    torch.testing.assert_close(model(X), torch.relu(X), rtol=0, atol=0)


def test_another_thread_in_the_same_network_is_not_counted() -> None:
    entered, go_on = threading.Event(), threading.Event()

    class Waits(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if threading.current_thread().name == "other":
                entered.set()
                go_on.wait(5.0)
            return x

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.child = Waits()

        def forward(self, x: Tensor) -> Tensor:
            if threading.current_thread().name != "other":
                other.start()
                entered.wait(5.0)  # the other thread is inside of the child now
            x = torch.sigmoid(x)
            go_on.set()
            return self.child(x)

    model = Model()
    Surgery(model).insert("", nn.ReLU(), "instead", function="sigmoid")
    other = threading.Thread(target=lambda: model(X), name="other")
    got = model(X)
    other.join(5.0)
    torch.testing.assert_close(got, torch.relu(X), rtol=0, atol=0)


def test_copies_do_not_share() -> None:
    model = net(torch.sigmoid)
    Surgery(model).insert("", nn.PReLU(), "instead", function="sigmoid")
    twin = copy.deepcopy(model)
    assert twin.get_parameter("prelu.weight") is not model.get_parameter("prelu.weight")
    with torch.no_grad():
        twin.get_parameter("prelu.weight").fill_(1.0)
    torch.testing.assert_close(twin(X), expected(twin, X, lambda z: z), rtol=0, atol=0)
    assert not torch.equal(model(X), twin(X))
    assert shadow(twin).module is twin


def test_a_part_is_copied_alone() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(3, 3), nn.Tanh()), nn.Linear(3, 3))
    Surgery(model).insert("0", Double(), "after")
    part = copy.deepcopy(model[0])
    torch.testing.assert_close(part(X), model[0](X), rtol=0, atol=0)


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_whole_network_is_saved_and_loaded(how: str) -> None:
    model = net(torch.sigmoid)
    surgery = Surgery(model)
    surgery.insert("", nn.PReLU(), "instead", function="sigmoid")
    surgery.insert("first", nn.BatchNorm1d(4), "after")
    if how == "pickle":
        twin = pickle.loads(pickle.dumps(model))
    else:
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        twin = torch.load(file, weights_only=False)
    torch.testing.assert_close(twin(X), model(X), rtol=0, atol=0)


def test_turns_are_saved_and_loaded() -> None:
    model = Shared()
    exchanged_but_for_the_last(model)
    twin = pickle.loads(pickle.dumps(model))
    torch.testing.assert_close(twin(X), by_hand(model, X), rtol=0, atol=0)


def test_state_dict_mode_and_type_reach_what_was_inserted() -> None:
    model = net(torch.sigmoid)
    names = set(model.state_dict())
    Surgery(model).insert("first", nn.BatchNorm1d(4), "after")
    state = model.state_dict()
    assert names < set(state)
    assert "first.batchnorm1d.running_mean" in state
    other = net(torch.sigmoid)
    Surgery(other).insert("first", nn.BatchNorm1d(4), "after")
    model(X)
    other.load_state_dict(model.state_dict())
    model.eval()
    other.eval()
    torch.testing.assert_close(other(X), model(X), rtol=0, atol=0)
    model.to(torch.float64)
    assert model(X.double()).dtype is torch.float64


def test_an_instance_with_a_forward_of_its_own_keeps_it() -> None:
    model = nn.Linear(3, 3)
    own = lambda x: F.linear(x, model.weight) + 1.0  # noqa: E731
    model.forward = own  # type: ignore[method-assign]
    plain = model(X)
    surgery = Surgery(model)
    surgery.insert("", Double(), "after")
    torch.testing.assert_close(model(X), 2.0 * plain, rtol=0, atol=0)
    surgery.undo()
    assert model.__dict__["forward"] is own


def test_a_forward_goes_on_saying_what_it_takes() -> None:
    class Named(nn.Module):
        def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
            return scale * x

    model = Named()
    signature = inspect.signature(model.forward)
    Surgery(model).insert("", Double(), "after")
    assert inspect.signature(model.forward) == signature
    batch = as_batch({"x": X, "scale": 3.0, "labels": X, "name": "row"}, model)
    assert set(batch.inputs) == {"x", "scale"}
    torch.testing.assert_close(call_model(model, batch.inputs), 6.0 * X)


def test_outputs_of_several_parts_are_changed_in_the_first() -> None:
    class Two(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, -x

    model = Two()
    Surgery(model).insert("", Double(), "after")
    first, second = model(X)
    torch.testing.assert_close(first, 2.0 * X)
    torch.testing.assert_close(second, -X)


def test_another_mode_of_the_users_still_sees_every_call() -> None:
    class Count(torch.overrides.TorchFunctionMode):
        def __init__(self) -> None:
            super().__init__()
            self.names: list[str] = []

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.names.append(func.__name__)
            return func(*args, **(kwargs or {}))

    model = net(torch.sigmoid)
    Surgery(model).insert("", nn.ReLU(), "instead", function="sigmoid")
    with Count() as count:
        model(X)
    assert "relu" in count.names
    assert "sigmoid" not in count.names


def test_removing_the_last_insertion_takes_the_shadow_off() -> None:
    model = net(torch.sigmoid)
    keys = list(model.__dict__)
    surgery = Surgery(model)
    surgery.insert("", Double(), "after")
    surgery.insert("", Double(), "before")
    assert is_shadowed(model)
    surgery.undo()
    assert not is_shadowed(model)
    assert list(model.__dict__) == keys
