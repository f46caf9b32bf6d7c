"""ALBERT: one transformer block used six times, input and output embeddings tied."""
import torch
from torch import nn

V, T, D = 32, 20, 48


class Albert(nn.Module):
    def __init__(self, repeats=6):
        super().__init__()
        self.repeats = repeats
        self.token = nn.Embedding(V, D)
        self.place = nn.Parameter(0.02 * torch.randn(T, D))
        nn.init.normal_(self.token.weight, std=0.02)
        self.block = nn.TransformerEncoderLayer(D, 4, 96, 0.0, "gelu", batch_first=True, norm_first=True)
        self.norm = nn.LayerNorm(D)
        self.decoder = nn.Linear(D, V)
        self.decoder.weight = self.token.weight

    def forward(self, ids):
        h = self.token(ids) + self.place
        for _ in range(self.repeats):
            h = self.block(h)
        return self.decoder(self.norm(h))


def batch(n=32):
    start, step = torch.randint(1, V, (n, 1)), torch.randint(1, 4, (n, 1))
    ids = (start + step * torch.arange(T)) % (V - 1) + 1
    hide = torch.rand(n, T) < 0.15
    hide[:, 5] = True
    return ids.masked_fill(hide, 0), torch.where(hide, ids, -100)


def loss(logits, target):
    return nn.functional.cross_entropy(logits.view(-1, V), target.view(-1), ignore_index=-100)


def optimizer(m):
    return torch.optim.AdamW(m.parameters(), lr=2e-3)


CLIP_GRAD_NORM = 1.0

if __name__ == "__main__":
    m = Albert()
    opt = optimizer(m)
    for i in range(300):
        x, y = batch()
        l = loss(m(x), y)
        opt.zero_grad()
        l.backward()
        nn.utils.clip_grad_norm_(m.parameters(), CLIP_GRAD_NORM)
        opt.step()
        if i % 50 == 0:
            print(i, l.item())
