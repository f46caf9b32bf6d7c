import torch
from torch import nn
from sklearn.datasets import load_wine

wine = load_wine()
X = torch.tensor(wine.data, dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)
Y = torch.tensor(wine.target)
perm = torch.randperm(len(X), generator=torch.Generator().manual_seed(2))
train, held_out = perm[:110], perm[110:]


class SoftTree(nn.Module):
    """Soft decision trees with steep splits, an ensemble of 12, depth 3. Explains itself to the customer."""

    def __init__(self, trees=12, depth=3, steep=8.0):
        super().__init__()
        self.depth, self.steep = depth, steep
        inner = 2 ** depth - 1
        self.w = nn.Parameter(torch.randn(trees, inner, 13) * 0.3)
        self.b = nn.Parameter(torch.zeros(trees, inner))
        self.leaf = nn.Parameter(torch.zeros(trees, 2 ** depth, 3))

    def forward(self, x):
        right = torch.sigmoid(self.steep * (torch.einsum("bf,tif->bti", x, self.w) + self.b))
        path = torch.ones_like(right[:, :, :1])
        for level in range(self.depth):
            lo = 2 ** level - 1
            r = right[:, :, lo:lo + 2 ** level]
            path = torch.stack([path * (1 - r), path * r], -1).flatten(2)
        return torch.einsum("btl,tlc->bc", path, self.leaf)


model = SoftTree


def data():
    for i in train[torch.randperm(len(train))].split(22):
        yield X[i], Y[i]


criterion = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-2)
