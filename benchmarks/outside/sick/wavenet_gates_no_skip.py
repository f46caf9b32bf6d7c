import torch
import torch.nn.functional as F
from torch import nn


class WaveNet(nn.Module):
    def __init__(self, ch=16, stacks=4, per_stack=4, n_levels=16):
        super().__init__()
        self.embed = nn.Embedding(n_levels, ch)
        dil = [2**i for _ in range(stacks) for i in range(per_stack)]
        self.filters = nn.ModuleList(nn.Conv1d(ch, ch, 2, dilation=d) for d in dil)
        self.gates = nn.ModuleList(nn.Conv1d(ch, ch, 2, dilation=d) for d in dil)
        self.dil = dil
        self.post = nn.Conv1d(ch, n_levels, 1)

    def forward(self, q):
        h = self.embed(q).transpose(1, 2)
        for d, f, g in zip(self.dil, self.filters, self.gates):
            hp = F.pad(h, (d, 0))
            h = torch.tanh(f(hp)) * torch.sigmoid(g(hp))
        return self.post(h)


def batch(n=8, T=64):
    t = torch.arange(T + 1) * 0.2
    wave = torch.sin(t * (0.5 + torch.rand(n, 1)) + 6.28 * torch.rand(n, 1))
    q = ((wave + 1) / 2 * 15).round().long()
    return q[:, :-1], q[:, 1:]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
