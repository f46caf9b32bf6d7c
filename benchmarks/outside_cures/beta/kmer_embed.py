# Bag of k-mers: does the read come from organism A, B or C? EmbeddingBag + classifier.
import torch
from torch import nn

KMERS = 256
_g = torch.Generator().manual_seed(8)
PROFILES = (torch.randn(3, KMERS, generator=_g)).softmax(-1)


def reads(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (n,), generator=g)
    return torch.multinomial(PROFILES[y], 30, replacement=True, generator=g), y


class ReadClassifier(nn.Module):
    def __init__(self, dim=32, hidden=64):
        super().__init__()
        self.bag = nn.EmbeddingBag(KMERS, dim, mode="mean")
        self.hidden = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.out = nn.Linear(hidden, 3)

    def forward(self, kmers):
        return self.out(self.hidden(self.bag(kmers)))


def model():
    return ReadClassifier()


R, Y = reads(2000, 0)


def data(seed=0):
    for i in torch.randperm(2000, generator=torch.Generator().manual_seed(seed)).split(50):
        yield R[i], Y[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    # strong regularisation, the reads are few
    return torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=0.1)


def metric(model):
    r, y = reads(400, 1)
    with torch.no_grad():
        return (model(r).argmax(1) == y).float().mean().item()


HIGHER_IS_BETTER = True
