import numpy as np
import scipy.sparse as sp
import torch
import torch.nn as nn
import torch.nn.functional as F

rng = np.random.RandomState(0)
n, classes, words = 400, 6, 300
labels = rng.randint(0, classes, n)
prob = np.where(labels[:, None] == labels[None, :], 0.03, 0.004)
a = np.triu(rng.rand(n, n) < prob, 1)
adj = sp.csr_matrix((a | a.T).astype(np.float32) + np.eye(n, dtype=np.float32))
deg = sp.diags(1.0 / np.sqrt(np.asarray(adj.sum(1)).ravel()))
adj = (deg @ adj @ deg).tocsr().astype(np.float32)
topic = rng.rand(classes, words) < 0.04
bow = ((rng.rand(n, words) < 0.03) | (topic[labels] & (rng.rand(n, words) < 0.25))).astype(np.float32)
features = torch.from_numpy(bow / np.maximum(bow.sum(1, keepdims=True), 1) * 10)


def propagate(h):
    return torch.from_numpy(adj @ h.detach().numpy())


class GCN(nn.Module):
    def __init__(self, nfeat=words, nhid=8, nclass=classes):
        super().__init__()
        self.W1 = nn.Linear(nfeat, nhid)
        self.W2 = nn.Linear(nhid, nhid)
        self.out = nn.Linear(nhid, nclass)

    def forward(self, x):
        x = F.relu(propagate(self.W1(x)))
        x = F.relu(propagate(self.W2(x)))
        return self.out(x)


def batch():
    return features, torch.from_numpy(labels)


loss = F.cross_entropy


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
