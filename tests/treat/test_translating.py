"""Translators of a treated network either keep what was inserted or are refused by name."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from unvanish.treat import treat
from unvanish.treat.interception import NAME, is_shadowed
from unvanish.treat.surgery import CannotTreatError


class Deep(nn.Module):
    """Calls sigmoid as a function, so that a treatment has to intercept it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.sigmoid(layer(x))
        return x


class Around(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.last = Deep(), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.inner(x))


DEPRECATED = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

X = torch.linspace(-1.0, 1.0, 96).reshape(16, 6)
BATCH = (X, torch.arange(16) % 3)


def treated(remedy: str, kind: type[nn.Module] = Deep) -> nn.Module:
    torch.manual_seed(0)
    return treat(kind(), remedy, BATCH, nn.functional.cross_entropy).model.eval()


@pytest.mark.parametrize("kind", [Deep, Around])
@pytest.mark.parametrize("remedy", ["relu", "rezero"])
def test_a_symbolic_trace_that_loses_the_treatment_is_refused(
    remedy: str, kind: type[nn.Module]
) -> None:
    with pytest.raises(CannotTreatError, match=r"torch\.fx\.symbolic_trace") as raised:
        torch.fx.symbolic_trace(treated(remedy, kind))
    assert "unvanish fix FILE --write" in raised.value.help


def test_a_symbolic_trace_that_keeps_the_treatment_is_not() -> None:
    model = treated("batch-norm")  # before layers, which a tracer calls as they are
    assert torch.equal(torch.fx.symbolic_trace(model)(X), model(X))


@DEPRECATED
@pytest.mark.parametrize("remedy", ["relu", "batch-norm"])
def test_a_script_is_refused_in_words(remedy: str) -> None:
    with pytest.raises(CannotTreatError, match=r"torch\.jit\.script compiles the source"):
        torch.jit.script(treated(remedy))


@pytest.mark.parametrize("remedy", ["relu", "rezero", "batch-norm"])
def test_an_export_computes_what_the_treated_network_does(remedy: str) -> None:
    model = treated(remedy)
    exported = torch.export.export(model, (X,)).module()
    torch.testing.assert_close(exported(X), model(X))


@DEPRECATED
def test_a_scripted_network_is_told_of_a_way_that_works() -> None:
    with pytest.raises(CannotTreatError, match="scripted module") as raised:
        treat(torch.jit.script(Deep()), "he", BATCH)
    assert "unvanish fix FILE --write" in raised.value.help


def test_the_name_of_the_class_stays_and_goes_with_copies() -> None:
    model = treated("relu")
    for one in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert one._get_name() == "Deep"
        assert one.__dict__[NAME].__self__.module is one
        with pytest.raises(CannotTreatError, match="symbolic_trace"):
            torch.fx.symbolic_trace(one)


def test_an_undone_network_can_be_translated_again() -> None:
    torch.manual_seed(0)
    model = Deep()
    keys = list(model.__dict__)
    treat(model, "relu", BATCH, nn.functional.cross_entropy, in_place=True).undo()
    assert not is_shadowed(model)
    assert list(model.__dict__) == keys
    assert torch.equal(torch.fx.symbolic_trace(model)(X), model(X))


def test_nobody_else_is_told_that_a_forward_has_globals() -> None:
    forward = treated("relu").forward
    assert not hasattr(forward, "__globals__")
    assert forward.__code__ is Deep.forward.__code__
