"""Methods that are called by themselves do what they do in the forward of a treated network."""

import copy
import io
import threading

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.observe.batch import as_batch, call_model
from unvanish.treat.methods import ShadowMethod, methods_of
from unvanish.treat.surgery import Surgery

X = torch.linspace(-2.0, 2.0, 15).reshape(5, 3)


class Coder(nn.Module):
    """Calls the same function in several methods, and in one that its forward does not pass."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(3, 2), nn.Linear(2, 3)

    def encode(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.down(x))

    def decode(self, code: Tensor, times: int = 1) -> Tensor:
        for _ in range(times):
            code = torch.sigmoid(code)
        return self.up(code)

    def score(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x).mean()

    def whole(self, x: Tensor) -> Tensor:
        return self.forward(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.encode(x), 2)


class Double(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2.0 * x


def treated(call: int | None = None) -> tuple[Coder, Surgery]:
    torch.manual_seed(0)
    model = Coder()
    surgery = Surgery(model)
    surgery.insert("", Double(), "after", function="sigmoid", call=call)
    call_model(model, as_batch(X, model).inputs)  # as every treatment does
    return model, surgery


def test_a_method_does_what_it_does_in_the_forward() -> None:
    model, _ = treated()
    code = 2.0 * torch.sigmoid(model.down(X))
    assert torch.equal(model.encode(X), code)
    inner = 2.0 * torch.sigmoid(2.0 * torch.sigmoid(code))
    assert torch.equal(model.decode(code, times=2), model.up(inner))
    assert torch.equal(model.decode(model.encode(X), 2), model(X))


def test_a_method_that_the_forward_does_not_pass_stays_as_it_is() -> None:
    model, _ = treated()
    assert torch.equal(model.score(X), torch.sigmoid(X).mean())


def test_one_call_of_several_is_told_by_its_line() -> None:
    model, _ = treated(call=2)  # the second turn of the loop in `decode`
    assert torch.equal(model.encode(X), torch.sigmoid(model.down(X)))
    code = model.encode(X)
    once, twice = torch.sigmoid(code), 2.0 * torch.sigmoid(torch.sigmoid(code))
    assert torch.equal(model.decode(code, 1), model.up(once))
    assert torch.equal(model.decode(code, 2), model.up(twice))


def test_a_method_that_runs_the_forward_doubles_nothing() -> None:
    model, _ = treated()
    assert torch.equal(model.whole(X), model(X))


def test_copies_files_and_threads_keep_it() -> None:
    model, _ = treated()
    expected = model.encode(X)
    assert torch.equal(copy.deepcopy(model).encode(X), expected)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False).encode(X), expected)
    found: list[Tensor] = []
    thread = threading.Thread(target=lambda: found.append(model.encode(X)))
    thread.start()
    thread.join()
    assert torch.equal(found[0], expected)


def test_a_copy_runs_its_own_methods() -> None:
    model, _ = treated()
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.down.weight.zero_()
        twin.down.bias.zero_()
    assert torch.equal(twin.encode(X), torch.ones(5, 2))
    assert not torch.equal(model.encode(X), torch.ones(5, 2))


def test_undo_takes_the_shadows_away() -> None:
    model, surgery = treated()
    assert isinstance(vars(model)["encode"], ShadowMethod)
    surgery.undo()
    assert not any(isinstance(value, ShadowMethod) for value in vars(model).values())
    assert torch.equal(model.encode(X), torch.sigmoid(model.down(X)))


def test_what_stands_around_modules_covers_no_method() -> None:
    model = Coder()
    Surgery(model).insert("down", Double(), "after")
    Surgery(model).insert("", Double(), "after")
    assert not any(isinstance(value, ShadowMethod) for value in vars(model).values())


def test_methods_of_libraries_are_left_alone() -> None:
    assert list(methods_of(nn.Sequential(nn.ReLU()))) == []
    assert list(methods_of(Coder())) == ["encode", "decode", "score", "whole"]


class Physics(nn.Module):
    """A forward that differentiates a method, as physics-informed networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(1, 8), nn.Linear(8, 1)

    def u(self, x: Tensor) -> Tensor:
        return self.outer(F.relu(self.inner(x)))

    def forward(self, x: Tensor) -> Tensor:
        x = x.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(self.u(x).sum(), x, create_graph=True)
        return slope


def test_the_solution_of_a_physics_informed_network_is_the_treated_one() -> None:
    torch.manual_seed(0)
    model = Physics()
    surgery = Surgery(model)
    surgery.insert("", nn.Tanh(), "instead", function="relu")
    x = torch.linspace(-1.0, 1.0, 7)[:, None]
    call_model(model, as_batch(x, model).inputs)
    assert torch.equal(model.u(x), model.outer(torch.tanh(model.inner(x))))
