"""Decoder-only transformer that continues a periodic string."""

import torch
from torch import nn

V, T = 12, 18


def strings(n, seed):
    g = torch.Generator().manual_seed(seed)
    period = torch.randint(2, 5, (n, 1), generator=g)
    motif = torch.randint(V, (n, 4), generator=g)
    index = torch.arange(T + 1).unsqueeze(0) % period
    text = motif.gather(1, index)
    return text[:, :-1], text[:, 1:]


class Layer(nn.Module):
    def __init__(self, d, heads=2):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(d, 3 * d, bias=False)
        self.o = nn.Linear(d, d, bias=False)
        self.ff = nn.Sequential(nn.Linear(d, 4 * d), nn.ReLU(), nn.Linear(4 * d, d))
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        a = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(a.transpose(1, 2).reshape(b, t, d))
        return x + self.ff(self.ln2(x))


class Decoder(nn.Module):
    def __init__(self, d=48, layers=2):
        super().__init__()
        self.tok, self.pos = nn.Embedding(V, d), nn.Embedding(T, d)
        self.layers = nn.ModuleList(Layer(d) for _ in range(layers))
        self.ln, self.unembed = nn.LayerNorm(d), nn.Linear(d, V)

    def forward(self, text):
        x = self.tok(text) + self.pos(torch.arange(text.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return self.unembed(self.ln(x))


def model():
    return Decoder()


inputs, targets = strings(3000, 0)


def data(seed=0):
    for i in torch.randperm(3000, generator=torch.Generator().manual_seed(seed)).split(60):
        yield inputs[i], targets[i]


def loss(output, target):
    return nn.functional.cross_entropy(output.flatten(0, 1), target.flatten())


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)


def metric(model):
    """How often the second half is continued rightly."""
    x, y = strings(300, 1)
    with torch.no_grad():
        return (model(x).argmax(-1) == y)[:, T // 2 :].float().mean().item()


GOAL = 0.75
HIGHER_IS_BETTER = True
