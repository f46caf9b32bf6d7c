import torch
from torch import nn

S, V, T = 4, 10, 40
g = torch.Generator().manual_seed(2)
TRANS = torch.softmax(3 * torch.eye(S).roll(1, 1) + torch.randn(S, S, generator=g) * 0.3, 1)
EMIT = torch.softmax(2.5 * torch.randn(S, V, generator=g), 1)


class NeuralHMM(nn.Module):
    """Returns the log likelihood of each sequence."""

    def __init__(self):
        super().__init__()
        self.start = nn.Parameter(torch.zeros(S))
        self.trans = nn.Parameter(torch.randn(S, S))
        self.emit = nn.Parameter(torch.randn(S, V))

    def forward(self, x):
        log_t = self.trans.log_softmax(1)
        log_e = self.emit.log_softmax(1)
        alpha = self.start.log_softmax(0) + log_e[:, x[:, 0]].T
        for t in range(1, x.shape[1]):
            alpha = torch.logsumexp(alpha[:, :, None] + log_t, 1) + log_e[:, x[:, t]].T
        return torch.logsumexp(alpha, 1)


def loss(loglik, x):
    return -loglik.mean() / x.shape[1]


def batch(n=32):
    z = torch.randint(0, S, (n,))
    out = []
    for _ in range(T):
        out.append(torch.multinomial(EMIT[z], 1).squeeze(1))
        z = torch.multinomial(TRANS[z], 1).squeeze(1)
    x = torch.stack(out, 1)
    return x, x


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-2)
