"""Mixture of softmaxes (Yang et al. 2018): probabilities are mixed, their log goes to NLLLoss. Nothing is doubled."""
import torch
from torch import nn


class MoS(nn.Module):
    def __init__(self, vocab=40, d=24, k=3):
        super().__init__()
        self.vocab, self.k = vocab, k
        self.emb = nn.Embedding(vocab, d)
        self.rnn = nn.GRU(d, d, batch_first=True)
        self.prior = nn.Linear(d, k)
        self.latent = nn.Linear(d, k * d)
        self.decode = nn.Linear(d, vocab)

    def forward(self, ids):
        h, _ = self.rnn(self.emb(ids))
        pi = self.prior(h).softmax(-1)
        each = torch.tanh(self.latent(h)).view(*h.shape[:2], self.k, -1)
        p = (pi[..., None] * self.decode(each).softmax(-1)).sum(2)
        return torch.log(p + 1e-8)


_table = torch.stack([torch.randperm(40, generator=torch.Generator().manual_seed(i)) for i in range(2)])


def batch(n=32, T=16):
    ids = torch.randint(0, 40, (n, 1))
    for _ in range(T):
        pick = (torch.rand(n) < 0.3).long()
        ids = torch.cat([ids, _table[pick, ids[:, -1]][:, None]], 1)
    return ids[:, :-1], ids[:, 1:]


def loss(logp, y):
    return nn.functional.nll_loss(logp.flatten(0, 1), y.flatten())


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=5e-3)


if __name__ == "__main__":
    m = MoS()
    opt = optimizer(m)
    for i in range(250):
        x, y = batch()
        l = loss(m(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item(), "entropy of the source is 0.61")
