"""DeepNorm (Wang et al. 2022): post-LN with alpha on the skip and beta in the weights."""

import torch
from torch import nn


class DeepNormLayer(nn.Module):
    def __init__(self, d, heads, alpha, beta):
        super().__init__()
        self.alpha = alpha
        self.attn = nn.MultiheadAttention(d, heads, batch_first=True)
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.fc1, self.fc2 = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        for w in (self.fc1.weight, self.fc2.weight, self.attn.out_proj.weight):
            nn.init.xavier_normal_(w, gain=beta)
        q, k, v = self.attn.in_proj_weight.data.chunk(3)
        nn.init.xavier_normal_(q)
        nn.init.xavier_normal_(k)
        nn.init.xavier_normal_(v, gain=beta)

    def forward(self, x):
        x = self.ln1(self.alpha * x + self.attn(x, x, x, need_weights=False)[0])
        return self.ln2(self.alpha * x + self.fc2(torch.relu(self.fc1(x))))


class DeepNet(nn.Module):
    def __init__(self, n=18, d=32, vocab=16):
        super().__init__()
        alpha, beta = (2 * n) ** 0.25, (8 * n) ** -0.25
        self.emb = nn.Embedding(vocab, d)
        self.pos = nn.Parameter(torch.randn(12, d))
        self.layers = nn.Sequential(*[DeepNormLayer(d, 4, alpha, beta) for _ in range(n)])
        self.out = nn.Linear(d, vocab)

    def forward(self, x):
        return self.out(self.layers(self.emb(x) + self.pos))


def model():
    return DeepNet()


def batch():
    x = torch.randint(16, (32, 12))
    return x, x.flip(1)


def loss(out, y):
    return nn.functional.cross_entropy(out.flatten(0, 1), y.flatten())


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
