"""What may be added to a remedy: it is looked for in the network as that has left it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.core.conditions import RunContext
from unvanish.core.prescriptions import Advice
from unvanish.treat.adding import prescribe_further
from unvanish.treat.registry import remedy_of


class Bundle(nn.Module):
    """A body that is cut off, and heavy dropout that shows once it is not."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(6, 24), nn.Linear(24, 3)
        self.drop = nn.Dropout(0.9)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.tanh(self.body(x)).detach()
        out: Tensor = self.head(self.drop(z))
        return out


def batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(32, 6), torch.randint(0, 3, (32,))


def further(base: tuple[str, ...], *names: str, keep_architecture: bool = False) -> Advice:
    torch.manual_seed(0)
    return prescribe_further(
        Bundle(),
        base,
        batch(),
        F.cross_entropy,
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=1e-3),
        context=RunContext(),
        names=names,
        keep_architecture=keep_architecture,
    )


def test_each_option_is_the_base_and_one_remedy_more() -> None:
    advice = further(("reattach",), "less-dropout", "xavier")
    assert advice.options
    assert all("reattach" in option.remedies for option in advice.options)
    assert all(len(option.remedies) == 2 for option in advice.options)
    added = {name for option in advice.options for name in option.remedies} - {"reattach"}
    assert {"less-dropout", "xavier"} <= added
    assert not any(option.failed for option in advice.options)


def test_what_the_base_has_cured_is_not_cured_again() -> None:
    advice = further(("reattach",), "less-dropout")
    assert "UV501" not in advice.before.findings
    assert not any("UV501" in option.cures for option in advice.options)


def test_what_does_not_go_with_the_base_is_left_out() -> None:
    advice = further(("relu",), "gelu", "xavier")
    added = [name for option in advice.options for name in option.remedies]
    assert "gelu" not in added
    assert added.count("relu") == len(advice.options)
    assert "gelu" in remedy_of("relu").excludes


def test_the_architecture_is_kept_where_that_is_asked_for() -> None:
    names = {
        name
        for option in further(("reattach",), "relu", "xavier", keep_architecture=True).options
        for name in option.remedies
    }
    assert "relu" not in names
    assert "xavier" in names


def test_a_base_that_cannot_be_given_gives_nothing() -> None:
    advice = further(("gated-cell",), "xavier")
    assert advice.options == ()
    assert "gated-cell" in advice.refused
    assert advice.nothing


def test_the_network_stays_as_it_was() -> None:
    torch.manual_seed(0)
    model = Bundle()
    before = copy.deepcopy(model.state_dict())
    prescribe_further(
        model, ("reattach",), batch(), F.cross_entropy, context=RunContext(), names=("xavier",)
    )
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items())
