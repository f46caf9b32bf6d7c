"""The calls of a forward pass are numbered as an interception meets them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unvanish.treat.calls import calls_of
from unvanish.treat.treatment import treat


class OnTheSpot(nn.Module):
    """Functions made where they are called, which no module of the network holds."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(4))
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = nn.Sigmoid()(layer(x))
        return self.head(x)


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 6, generator=generator), torch.arange(8) % 3


def test_calls_of_a_module_made_on_the_spot_are_those_of_the_one_around_it() -> None:
    model = OnTheSpot()
    found = [call for call in calls_of(model, batch()[0]) if call.function == "sigmoid"]
    assert [(call.path, call.number) for call in found] == [("", n) for n in range(4)]


def test_a_connection_ends_at_the_call_that_was_meant() -> None:
    torch.manual_seed(0)
    model = OnTheSpot()
    treated = treat(model, "residual", batch()).model
    x = batch()[0]
    for number, layer in enumerate(model.layers):
        new = torch.sigmoid(layer(x))
        x = x + new - 0.5 if number else new
    torch.testing.assert_close(treated(batch()[0]), model.head(x))
