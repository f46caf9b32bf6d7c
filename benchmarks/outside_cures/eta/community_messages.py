"""
Who belongs to which group?  Node classification on many small social graphs.

Every graph: 3 hidden groups, people mostly know people of their own group, plus a handful of
very popular members who know nearly everyone. Features: a noisy hint of the group, age, activity.
"""
import numpy as np
import torch
import torch.nn as nn

N = 60


def make_graphs(n_graphs, seed):
    rng = np.random.default_rng(seed)
    xs, adjs, ys = [], [], []
    for _ in range(n_graphs):
        y = rng.integers(0, 3, N)
        p = np.where(y[:, None] == y[None, :], 0.45, 0.12)
        popular = rng.random(N) < 0.08
        p = np.where(popular[:, None] | popular[None, :], 0.85, p)
        a = np.triu(rng.random((N, N)) < p, 1)
        a = (a | a.T).astype(np.float32)
        hint = np.eye(3)[y] + 1.2 * rng.standard_normal((N, 3))
        rest = rng.standard_normal((N, 2))
        xs.append(np.concatenate([hint, rest], 1).astype(np.float32))
        adjs.append(a)
        ys.append(y)
    return torch.tensor(np.stack(xs)), torch.tensor(np.stack(adjs)), torch.tensor(np.stack(ys))


X, A, Y = make_graphs(240, 0)


class MessagePassing(nn.Module):
    """h_i <- relu(W_self h_i + sum_{j ~ i} W_msg h_j)"""

    def __init__(self, d_in, d_out):
        super().__init__()
        self.w_self = nn.Linear(d_in, d_out)
        self.w_msg = nn.Linear(d_in, d_out, bias=False)

    def forward(self, h, adj):
        return torch.relu(self.w_self(h) + adj @ self.w_msg(h))


class GroupNet(nn.Module):
    def __init__(self, width=32, rounds=4):
        super().__init__()
        dims = [X.shape[-1]] + [width] * rounds
        self.rounds = nn.ModuleList(MessagePassing(a, b) for a, b in zip(dims, dims[1:]))
        self.classify = nn.Linear(width, 3)

    def forward(self, x, adj):
        for layer in self.rounds:
            x = layer(x, adj)
        return self.classify(x)


def model():
    return GroupNet()


def data():
    for idx in torch.randperm(len(X)).split(12):
        yield (X[idx], A[idx]), Y[idx]


def loss(logits, y):
    return nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
