"""A GRU language model on text from a noisy Markov source (the entropy rate is high: no model gets a low loss)."""

import torch
from torch import nn

V, T = 24, 20
_g = torch.Generator().manual_seed(13)
CHAIN = (2.5 * torch.randn(V, V, generator=_g)).softmax(1) * 0.7 + 0.3 / V


def write(n, seed):
    g = torch.Generator().manual_seed(seed)
    text = [torch.randint(V, (n,), generator=g)]
    for _ in range(T):
        text.append(torch.multinomial(CHAIN[text[-1]], 1, generator=g).squeeze(1))
    text = torch.stack(text, 1)
    return text[:, :-1], text[:, 1:]


class GRULM(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.emb = nn.Embedding(V, d)
        nn.init.normal_(self.emb.weight, std=0.02)
        self.rnn = nn.GRU(d, d, batch_first=True)
        self.bias = nn.Parameter(torch.zeros(V))

    def forward(self, text):
        h, _ = self.rnn(self.emb(text))
        return h @ self.emb.weight.t() + self.bias  # tied


def model():
    return GRULM()


past, future = write(1500, 0)


def data(seed=0):
    for i in torch.randperm(1500, generator=torch.Generator().manual_seed(seed)).split(50):
        yield past[i], future[i]


def loss(output, target):
    return nn.functional.cross_entropy(output.flatten(0, 1), target.flatten())


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=5e-3)


HIGHER_IS_BETTER = False


def metric(model):
    a, b = write(300, 1)
    with torch.no_grad():
        return loss(model(a), b).item()
