"""Choices with a gradient: the numbers stay, the gradient is that of a soft look-up."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from unvanish.core.verdicts import NotApplicable
from unvanish.testing import check_remedy
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import case_of, treat

CLASSES, WIDTH = 7, 5

Use = Callable[[Tensor, Tensor], Tensor]
"""What is made of scores of shape (batch, 3, classes) and a table."""


class Codes(nn.Module):
    """Scores, what is chosen by them and looked up, and a head."""

    def __init__(self, use: Use, size: int = 3 * WIDTH) -> None:
        super().__init__()
        self.speaker = nn.Linear(6, 3 * CLASSES)
        self.table = nn.Parameter(torch.randn(CLASSES, WIDTH))
        self.head = nn.Linear(size, 4)
        self.use = use

    def forward(self, x: Tensor) -> Tensor:
        scores = self.speaker(x).unflatten(1, (3, CLASSES))
        out: Tensor = self.head(self.use(scores, self.table).reshape(len(x), -1))
        return out


def estimated(scores: Tensor, table: Tensor, *, sign: float = 1.0) -> Tensor:
    soft = torch.softmax(sign * scores, -1)
    hard = F.one_hot(soft.argmax(-1), CLASSES).to(soft)
    return (soft + (hard - soft).detach()) @ table


def scattered(scores: Tensor, table: Tensor) -> Tensor:
    hard = torch.zeros_like(scores)
    hard.scatter_(-1, scores.argmax(-1, keepdim=True), 1.0)
    return hard @ table


def gathered(scores: Tensor, table: Tensor) -> Tensor:
    index = scores.argmax(-1)[:, :, None].expand(-1, -1, WIDTH)
    return table.expand(len(scores), CLASSES, WIDTH).gather(1, index)


USES: dict[str, Use] = {
    "embedding": lambda s, w: F.embedding(s.argmax(-1), w),
    "embedding of a view": lambda s, w: F.embedding(s.argmax(-1).reshape(-1), w),
    "embedding by name": lambda s, w: F.embedding(input=s.argmax(dim=-1), weight=w),
    "table[index]": lambda s, w: w[torch.argmax(s, 2)],
    "table[index, :]": lambda s, w: w[torch.argmax(s, 2), :],
    "one-hot vectors": lambda s, w: F.one_hot(s.argmax(-1), CLASSES).float() @ w,
    "one-hot vectors of a type": lambda s, w: F.one_hot(s.argmax(-1), CLASSES).to(w) @ w,
    "scattered ones": scattered,
    "index_select": lambda s, w: w.index_select(0, s.argmax(-1).flatten()),
    "gather": gathered,
    "topk": lambda s, w: F.embedding(s.topk(1, dim=-1).indices.squeeze(-1), w),
    "max": lambda s, w: F.embedding(s.max(-1)[1], w),
    "another axis": lambda s, w: w[s.transpose(1, 2).argmax(1)],
    "transposed, split and put together": lambda s, w: w[
        torch.cat(s.argmax(-1).t().contiguous().split([1, 2]), 0).t().long()
    ],
    "one at a time": lambda s, w: torch.stack([w[i] for i in s.argmax(-1).unbind(1)], 1),
}


@pytest.mark.parametrize("name", USES)
def test_the_gradient_is_that_of_the_straight_through_estimator(name: str) -> None:
    torch.manual_seed(0)
    model = Codes(USES[name])
    reference = copy.deepcopy(model)
    reference.use = estimated
    x, y = torch.randn(16, 6), torch.randint(0, 4, (16,))
    before = model(x)
    treated = treat(model, "straight-through-choice", (x, y), F.cross_entropy).model
    assert torch.equal(treated(x), before)
    F.cross_entropy(treated(x), y).backward()
    F.cross_entropy(reference(x), y).backward()
    assert model.speaker.weight.grad is None
    for one, other in zip(treated.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_a_codebook_is_searched_for_the_nearest_entry() -> None:
    torch.manual_seed(1)
    model = Codes(lambda s, w: w[s.argmin(-1)])
    reference = copy.deepcopy(model)
    reference.use = lambda s, w: estimated(s, w, sign=-1.0)
    x, y = torch.randn(16, 6), torch.randint(0, 4, (16,))
    treated = treat(model, "straight-through-choice", (x, y), F.cross_entropy).model
    F.cross_entropy(treated(x), y).backward()
    F.cross_entropy(reference(x), y).backward()
    torch.testing.assert_close(treated.speaker.weight.grad, reference.speaker.weight.grad)


class Drawn(nn.Module):
    """A word is drawn by its probability, in a module of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.speaker = nn.Sequential(nn.Linear(6, CLASSES), nn.Softmax(-1))
        self.words, self.head = nn.Embedding(CLASSES + 2, WIDTH), nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        drawn = torch.multinomial(self.speaker(x), 1)
        return self.head(self.words(drawn)[:, 0])


def test_a_draw_gets_the_gradient_of_its_probabilities() -> None:
    torch.manual_seed(0)
    model = Drawn()
    x, y = torch.randn(16, 6), torch.randint(0, 4, (16,))
    case = case_of(model, (x, y), F.cross_entropy)
    found = remedy_of("straight-through-choice").assess(case)
    assert not isinstance(found, NotApplicable)
    assert found.settings == {"multinomial": 0.0}
    treated = treat(model, found, (x, y), F.cross_entropy).model
    words = treated.words.weight[:CLASSES]
    out = treated(x)
    out.sum().backward()
    slope = (treated.head.weight.sum(0) @ words.T).detach()
    probabilities = model.speaker(x)
    (expected,) = torch.autograd.grad((probabilities * slope).sum(), model.speaker[0].weight)
    torch.testing.assert_close(treated.speaker[0].weight.grad, expected)


def test_it_learns_what_the_untreated_one_cannot() -> None:
    def after(model: nn.Module) -> float:
        optimizer = torch.optim.Adam(model.parameters(), lr=3e-2)
        for _ in range(150):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        return float((model(x).argmax(-1) == y).float().mean())

    torch.manual_seed(0)
    x = torch.randn(256, 6)
    y = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()
    model = Codes(USES["embedding"])
    treated = treat(model, "straight-through-choice", (x, y), F.cross_entropy).model
    assert after(treated) > after(copy.deepcopy(model)) + 0.1


def test_nothing_is_remembered_after_the_forward_and_a_copy_is_its_own() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(8, 6), torch.randint(0, 4, (8,))
    treated = treat(Codes(USES["embedding"]), "straight-through-choice", (x, y)).model
    twin = copy.deepcopy(treated)
    twin(x).sum().backward()
    assert twin.speaker.weight.grad is not None
    assert treated.speaker.weight.grad is None
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        twin(torch.randn(8, 5))
    index = treated.speaker(x).unflatten(1, (3, CLASSES)).argmax(-1)
    assert F.embedding(index, torch.ones(CLASSES, 2)).grad_fn is None


def without_gradient(scores: Tensor, table: Tensor) -> Tensor:
    with torch.no_grad():
        index = scores.argmax(-1).unsqueeze(-1)
    return F.embedding(index[..., 0], table)


def masked(scores: Tensor, table: Tensor) -> Tensor:
    barred = torch.zeros_like(scores)
    barred[..., 2:] = -torch.inf
    barred[0] = -torch.inf
    return F.embedding((scores + barred).argmax(-1), table)


@pytest.mark.parametrize("use", [without_gradient, masked])
def test_an_index_taken_without_a_gradient_and_one_of_a_few(use: Use) -> None:
    torch.manual_seed(0)
    model = Codes(use)
    x, y = torch.randn(16, 6), torch.randint(0, 4, (16,))
    treated = treat(model, "straight-through-choice", (x, y), F.cross_entropy).model
    out = treated(x)
    assert torch.equal(out, model(x))
    F.cross_entropy(out[1:], y[1:]).backward()
    slope = treated.speaker.weight.grad
    assert slope is not None
    assert slope.isfinite().all()
    assert slope.any()


def test_what_has_no_table_is_refused() -> None:
    x, y = torch.randn(8, 6), torch.randint(0, 4, (8,))
    remedy = remedy_of("straight-through-choice")

    def counted(s: Tensor, w: Tensor) -> Tensor:
        return (s.argmax(-1)[..., None] > 2).float() * w.sum(0)

    said = remedy.assess(case_of(Codes(counted), (x, y), F.cross_entropy))
    assert isinstance(said, NotApplicable)
    assert "looks nothing up" in said.reason


def test_the_contract() -> None:
    x, y = torch.randn(8, 6), torch.randint(0, 4, (8,))
    check_remedy(
        remedy_of("straight-through-choice"),
        lambda: Codes(USES["embedding"]),
        (x, y),
        F.cross_entropy,
        unfit=[(nn.Linear(6, 4), (x, y))],
    )


class Checkpointed(nn.Module):
    """The choice is made again for the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.codes = nn.Linear(6, 6), Codes(USES["embedding"])

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = checkpoint(self.codes, self.first(x), use_reentrant=False)
        return out


def test_a_checkpoint_around_the_choice_is_named() -> None:
    x, y = torch.randn(8, 6), torch.randint(0, 4, (8,))
    case = case_of(Checkpointed(), (x, y), F.cross_entropy)
    said = remedy_of("straight-through-choice").assess(case)
    assert isinstance(said, NotApplicable)
    assert "checkpointed part" in said.reason
