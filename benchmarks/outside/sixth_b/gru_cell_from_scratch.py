import math
import torch
from sklearn.datasets import load_digits

digits = load_digits()
imgs = torch.from_numpy(digits.images).float() / 8 - 1
labels = torch.from_numpy(digits.target)


class GRU(torch.nn.Module):
    # Cho et al. 2014, eq. 5-8, with raw tensors (exercise 3b)
    def __init__(self, n_in=8, n_h=48, n_out=10, remember=8.0):
        super().__init__()
        k = 1 / math.sqrt(n_h)
        P = lambda *s: torch.nn.Parameter(torch.empty(*s).uniform_(-k, k))
        self.Wz, self.Uz = P(n_in, n_h), P(n_h, n_h)
        self.Wr, self.Ur = P(n_in, n_h), P(n_h, n_h)
        self.Wn, self.Un = P(n_in, n_h), P(n_h, n_h)
        self.bz = torch.nn.Parameter(torch.full((n_h,), remember))
        self.br = torch.nn.Parameter(torch.zeros(n_h))
        self.bn = torch.nn.Parameter(torch.zeros(n_h))
        self.V, self.c = P(n_h, n_out), torch.nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        h = x.new_zeros(x.shape[0], self.Un.shape[0])
        for t in range(x.shape[1]):
            z = torch.sigmoid(x[:, t] @ self.Wz + h @ self.Uz + self.bz)
            r = torch.sigmoid(x[:, t] @ self.Wr + h @ self.Ur + self.br)
            n = torch.tanh(x[:, t] @ self.Wn + (r * h) @ self.Un + self.bn)
            h = z * h + (1 - z) * n
        return h @ self.V + self.c


def batch():
    i = torch.randint(len(imgs), (64,))
    return imgs[i], labels[i]


def loss(logits, y):
    return torch.nn.functional.cross_entropy(logits, y)


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
