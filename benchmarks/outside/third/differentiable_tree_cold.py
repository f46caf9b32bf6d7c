"""Soft decision tree (NODE style), split sharpness fixed at its final value from epoch 0."""
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

raw, lab = load_breast_cancer(return_X_y=True)
raw = (raw - raw.mean(0)) / raw.std(0)
FEATS, CLS = torch.tensor(raw, dtype=torch.float32), torch.tensor(lab)


class SoftSplit(nn.Module):
    def __init__(self, n_in, n_split, sharpness):
        super().__init__()
        self.lin = nn.Linear(n_in, n_split)
        nn.init.normal_(self.lin.weight)
        self.sharpness = sharpness
        self.sigma = nn.Sigmoid()

    def forward(self, x):
        return self.sigma(self.sharpness * self.lin(x))


class Forest(nn.Module):
    def __init__(self, trees=4, depth=3, sharpness=200.0):
        super().__init__()
        self.trees, self.depth = trees, depth
        self.select = nn.Sequential(nn.Linear(30, 16), nn.ReLU())
        self.split = SoftSplit(16, trees * depth, sharpness)
        self.leaves = nn.Parameter(0.1 * torch.randn(trees, 2**depth, 2))

    def forward(self, x):
        p = self.split(self.select(x)).view(-1, self.trees, self.depth)
        reach = torch.ones(len(x), self.trees, 1)
        for d in range(self.depth):
            right = p[:, :, d : d + 1]
            reach = torch.cat([reach * (1 - right), reach * right], dim=2)
        return torch.einsum("btl,tlc->bc", reach, self.leaves)


def batch():
    i = torch.randint(0, len(FEATS), (64,))
    return FEATS[i], CLS[i]


def optimizer(f):
    return torch.optim.SGD(f.parameters(), lr=0.05, momentum=0.9)


def metric(f):
    with torch.no_grad():
        return nn.functional.cross_entropy(f(FEATS), CLS).item()


HIGHER_IS_BETTER = False

if __name__ == "__main__":
    forest = Forest()
    opt = optimizer(forest)
    for _ in range(400):
        x, y = batch()
        opt.zero_grad()
        nn.functional.cross_entropy(forest(x), y).backward()
        opt.step()
    print(metric(forest))
