"""Changes to a network: books, undo to the last bit, optimisers in training, refusals."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from unvanish.treat.interception import is_shadowed
from unvanish.treat.surgery import CannotTreatError, Surgery, given_to, refuse_untreatable

X = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 6), nn.Sigmoid(), nn.Linear(6, 6, bias=False), nn.Sigmoid(), nn.Linear(6, 2)
    )


def bits(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def attributes(model: nn.Module) -> dict[str, list[str]]:
    return {path: sorted(module.__dict__) for path, module in model.named_modules()}


def state_of(optimizer: torch.optim.Optimizer) -> Any:
    return copy.deepcopy(optimizer.state_dict())


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def trained(model: nn.Module, steps: int = 3) -> torch.optim.Adam:
    groups = [
        {"params": list(model[0].parameters()), "lr": 1e-3},
        {"params": [p for m in list(model)[1:] for p in m.parameters()], "lr": 1e-2},
    ]
    optimizer = torch.optim.Adam(groups, weight_decay=0.1)
    for _ in range(steps):
        step(model, optimizer)
    return optimizer


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(X).square().sum().backward()
    optimizer.step()


def set_values(surgery: Surgery) -> None:
    surgery.set_values("0.weight", torch.ones(6, 4))


def add_bias(surgery: Surgery) -> None:
    surgery.add_bias("2")


def replace(surgery: Surgery) -> None:
    surgery.replace("1", nn.PReLU(), like=("0.weight",))


def replace_layer(surgery: Surgery) -> None:
    surgery.replace("2", nn.Linear(6, 6))


def insert(surgery: Surgery) -> None:
    surgery.insert("2", nn.BatchNorm1d(6), "after", before="no norm", after="norm")


def insert_at_root(surgery: Surgery) -> None:
    surgery.insert("", nn.LayerNorm(2), "after", before="no norm", after="norm")


def connect(surgery: Surgery) -> None:
    class Add(nn.Module):
        def forward(self, output: Tensor, remembered: Tensor) -> Tensor:
            return output + remembered

    surgery.connect(("2", "", None), ("3", "", None), Add(), after="a skip")


def set_attribute(surgery: Surgery) -> None:
    surgery.set_attribute("0", "in_features", 4)


def set_option(surgery: Surgery) -> None:
    surgery.set_option("eps", 1e-12)


OPERATIONS = [
    set_values,
    add_bias,
    replace,
    replace_layer,
    insert,
    insert_at_root,
    connect,
    set_attribute,
    set_option,
]


@pytest.mark.parametrize("operate", OPERATIONS, ids=lambda o: o.__name__)
def test_undo_restores_every_bit_every_attribute_and_the_optimiser(
    operate: Callable[[Surgery], None],
) -> None:
    model = net()
    optimizer = trained(model)
    before, names, modules = bits(model), attributes(model), list(model.modules())
    state, members = state_of(optimizer), [list(g["params"]) for g in optimizer.param_groups]
    surgery = Surgery(model, optimizer)
    operate(surgery)
    assert surgery.edits
    surgery.mark("one")
    model(X)
    surgery.undo()
    assert same(bits(model), before)
    assert attributes(model) == names
    assert all(a is b for a, b in zip(model.modules(), modules, strict=True))
    assert same(state_of(optimizer), state)
    for group, held in zip(optimizer.param_groups, members, strict=True):
        assert all(a is b for a, b in zip(group["params"], held, strict=True))
    assert surgery.edits == []
    assert given_to(model) == ()


@pytest.mark.parametrize("operate", OPERATIONS, ids=lambda o: o.__name__)
def test_training_goes_on_after_the_operation_and_after_its_undo(
    operate: Callable[[Surgery], None],
) -> None:
    model = net()
    optimizer = trained(model)
    surgery = Surgery(model, optimizer)
    operate(surgery)
    for _ in range(2):
        step(model, optimizer)
    mine = {id(p) for p in model.parameters()}
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert mine == set(held)
    assert len(held) == len(set(held))
    surgery.undo()
    step(model, optimizer)
    mine = {id(p) for p in model.parameters()}
    assert mine == {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert {id(p) for p in optimizer.state} <= mine


def test_all_operations_together_are_undone() -> None:
    model = net()
    optimizer = trained(model)
    before, names, state = bits(model), attributes(model), state_of(optimizer)
    surgery = Surgery(model, optimizer)
    for operate in (set_values, add_bias, replace, insert, insert_at_root, connect, set_option):
        operate(surgery)
    model(X)
    surgery.undo()
    assert same(bits(model), before)
    assert attributes(model) == names
    assert same(state_of(optimizer), state)


def test_new_parameters_join_the_group_they_are_to_stand_beside() -> None:
    model = net()
    optimizer = trained(model)
    surgery = Surgery(model, optimizer)
    surgery.replace("1", nn.PReLU(), like=("0.weight",))
    surgery.insert("3", nn.PReLU(), "instead", function="sigmoid", like=("2.weight",))
    first, second = optimizer.param_groups
    assert any(p is model[1].weight for p in first["params"])
    assert any(p is model.get_parameter("3.prelu.weight") for p in second["params"])


def test_a_parameter_that_is_taken_out_leaves_with_its_state() -> None:
    model = net()
    optimizer = trained(model)
    gone = model[2].weight
    Surgery(model, optimizer).replace("2", nn.Identity())
    assert gone not in optimizer.state
    assert not any(p is gone for group in optimizer.param_groups for p in group["params"])


def test_values_keep_ties_flags_and_type() -> None:
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)}).double()
    model["b"].weight = model["a"].weight
    model["a"].weight.requires_grad_(False)
    Surgery(model).set_values("a.weight", torch.eye(3))
    assert model["b"].weight is model["a"].weight
    assert model["a"].weight.dtype is torch.float64
    assert not model["a"].weight.requires_grad
    torch.testing.assert_close(model["b"].weight, torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("0.nothing", torch.ones(1), "there is no such parameter"),
        ("9.weight", torch.ones(1), "there is no such parameter"),
        ("0.weight", torch.ones(2, 2), r"the values are \(2, 2\), the parameter \(6, 4\)"),
    ],
)
def test_values_that_do_not_fit_are_refused(name: str, values: Tensor, message: str) -> None:
    model = net()
    before = bits(model)
    with pytest.raises(CannotTreatError, match=message):
        Surgery(model).set_values(name, values)
    assert same(bits(model), before)


def test_a_shared_module_stays_shared_wherever_it_is_held() -> None:
    class Holds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            act = nn.Sigmoid()
            self.one, self.two = act, act
            self.table = {"act": act, "deep": {"list": [act]}}
            object.__setattr__(self, "bare", act)

        def forward(self, x: Tensor) -> Tensor:
            x = self.two(self.one(x))
            return self.bare(self.table["deep"]["list"][0](self.table["act"](x)))

    model = Holds()
    old, plain = model.one, model(X)
    surgery = Surgery(model)
    surgery.replace("one", nn.Identity())
    torch.testing.assert_close(model(X), X, rtol=0, atol=0)
    assert model.one is model.two
    surgery.undo()
    assert model.table["deep"]["list"][0] is old
    assert model.bare is old
    torch.testing.assert_close(model(X), plain, rtol=0, atol=0)


def test_hooks_of_every_kind_stay_and_can_be_removed() -> None:
    model = net()
    called: list[str] = []
    handles = [
        model[1].register_forward_hook(lambda *_: called.append("after")),
        model[1].register_forward_hook(lambda *_: called.append("kwargs"), with_kwargs=True),
        model[1].register_forward_pre_hook(lambda *_: called.append("before")),
        model[1].register_forward_pre_hook(
            lambda *_: called.append("before kwargs"), with_kwargs=True
        ),
        model[1].register_full_backward_hook(lambda *_: called.append("backward")),
    ]
    surgery = Surgery(model)
    surgery.replace("1", nn.Tanh())
    model(X).sum().backward()
    assert sorted(called) == ["after", "backward", "before", "before kwargs", "kwargs"]
    for handle in handles:
        handle.remove()
    called.clear()
    model(X).sum().backward()
    surgery.undo()
    model(X).sum().backward()
    assert called == []


def test_hooks_around_an_insertion_stay() -> None:
    model = net()
    seen: list[Tensor] = []
    model[0].register_forward_hook(lambda *given: seen.append(given[2]))
    Surgery(model).insert("0", nn.BatchNorm1d(6), "after")
    model(X)
    assert abs(float(seen[0].detach().std()) - 1.0) < 0.02


def test_the_mode_of_the_old_one_carries_over() -> None:
    model = net().eval()
    surgery = Surgery(model)
    surgery.replace("1", nn.Dropout(0.9))
    surgery.insert("2", nn.Dropout(0.9), "after")
    torch.testing.assert_close(model(X), model(X), rtol=0, atol=0)


def test_the_type_of_the_network_carries_over() -> None:
    model = net().double()
    surgery = Surgery(model)
    surgery.replace("1", nn.PReLU())
    surgery.insert("2", nn.BatchNorm1d(6), "after")
    assert model(X.double()).dtype is torch.float64
    assert model.get_buffer("2.batchnorm1d.num_batches_tracked").dtype is torch.int64


def test_a_module_with_insertions_is_not_replaced() -> None:
    model = net()
    surgery = Surgery(model)
    surgery.insert("1", nn.Identity(), "after")
    with pytest.raises(CannotTreatError, match="would be lost"):
        surgery.replace("1", nn.ReLU())
    assert isinstance(model[1], nn.Sigmoid)


def test_the_root_is_not_replaced() -> None:
    with pytest.raises(CannotTreatError, match="whole network cannot be replaced"):
        Surgery(net()).replace("", nn.Identity())


def test_a_call_that_never_comes_is_named() -> None:
    model = net()
    surgery = Surgery(model)
    surgery.insert("", nn.ReLU(), "instead", function="tanh")
    surgery.insert("0", nn.Identity(), "after")
    model(X)
    assert surgery.unused() == ["Sequential tanh"]


def test_the_names_of_remedies_are_undone_in_order() -> None:
    model = net()
    surgery = Surgery(model)
    surgery.mark("one")
    other = Surgery(model)
    other.mark("two")
    assert given_to(copy.deepcopy(model)) == ("one", "two")
    other.undo()
    assert given_to(model) == ("one",)


def test_an_option_nobody_has_is_refused() -> None:
    model = net()
    with pytest.raises(CannotTreatError, match="no optimiser whose eps"):
        Surgery(model).set_option("eps", 1.0)
    with pytest.raises(CannotTreatError, match="SGD has no option 'eps'"):
        Surgery(model, torch.optim.SGD(model.parameters(), 0.1)).set_option("eps", 1.0)


def scripted() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 2), torch.jit.script(nn.Linear(2, 2)))


def quantised() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 2))
    fake = type("Linear", (nn.Module,), {"__module__": "torch.ao.nn.quantized.modules.linear"})
    model.append(fake())
    return model


def wrapped() -> nn.Module:
    return nn.DataParallel(net())


def compiled() -> nn.Module:
    return type("OptimizedModule", (nn.Module,), {})()


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyLinear(3))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (scripted, "scripted module has no Python forward"),
        (quantised, "quantised module has no weights"),
        (wrapped, "wrapped in DataParallel"),
        (compiled, "wrapped in OptimizedModule"),
        (lazy, "lazy layer has no weights yet"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_operated_on_is_refused(make: Callable[[], nn.Module], message: str) -> None:
    model = make()
    with pytest.raises(CannotTreatError, match=message):
        refuse_untreatable(model)
    with pytest.raises(CannotTreatError, match=message):
        Surgery(model)


def test_two_insertions_are_undone_one_by_one() -> None:
    model = net()
    plain = model(X)
    one, other = Surgery(model), Surgery(model)
    one.insert("", nn.LayerNorm(2), "after")
    middle = model(X)
    other.insert("", nn.Tanh(), "after")
    other.undo()
    torch.testing.assert_close(model(X), middle, rtol=0, atol=0)
    one.undo()
    torch.testing.assert_close(model(X), plain, rtol=0, atol=0)
    assert not is_shadowed(model)
