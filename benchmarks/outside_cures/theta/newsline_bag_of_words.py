"""fastText in ten lines, for headlines."""
import random

import torch
from torch import nn

SECTIONS = {
    "sports": "match goal coach league striker cup final season injury transfer",
    "economy": "bank shares inflation market profit rates merger export budget investors",
    "science": "study telescope cells climate fossil genome orbit virus laboratory particles",
    "culture": "film festival novel museum album actor premiere theatre painter singer",
}
COMMON = "new after says first year over two more as in on with of the to for could last plan week".split()
words = {s: w.split() for s, w in SECTIONS.items()}
vocab = {w: i for i, w in enumerate(COMMON + sum(words.values(), []))}


def headlines(n, seed):
    rng = random.Random(seed)
    x, y = [], []
    for _ in range(n):
        k = rng.randrange(4)
        h = rng.choices(COMMON, k=6) + rng.choices(words[list(words)[k]], k=2)
        h += rng.choices(sum(words.values(), []), k=1)  # journalists...
        rng.shuffle(h)
        x.append([vocab[w] for w in h])
        y.append(k)
    return torch.tensor(x), torch.tensor(y)


X, Y = headlines(2000, seed=6)


class FastText(nn.Module):
    def __init__(self, dim=10):
        super().__init__()
        self.bag = nn.EmbeddingBag(len(vocab), dim, mode="mean")
        self.out = nn.Linear(dim, len(SECTIONS))

    def forward(self, x):
        return torch.log_softmax(self.out(self.bag(x)), dim=1)


def model():
    return FastText()


def data():
    for i in torch.randperm(len(X)).split(50):
        yield X[i], Y[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    # rate as in the C++ tool; it is per word there
    return torch.optim.SGD(model.parameters(), lr=4.0)
