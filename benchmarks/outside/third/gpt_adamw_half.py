# character GPT, "lr=0.5 worked for my ResNet"
import torch
import torch.nn as nn
import torch.nn.functional as F

text = ("the quick brown fox jumps over the lazy dog and then the dog sleeps while the fox runs off " * 40)
chars = sorted(set(text))
ids = torch.tensor([chars.index(c) for c in text])
V, T = len(chars), 32


class Block(nn.Module):
    def __init__(self, d, h):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attn = nn.MultiheadAttention(d, h, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, x):
        mask = torch.full((x.shape[1], x.shape[1]), float("-inf")).triu(1)
        y = self.ln1(x)
        x = x + self.attn(y, y, y, attn_mask=mask, need_weights=False)[0]
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    def __init__(self, d=48, layers=3):
        super().__init__()
        self.tok, self.pos = nn.Embedding(V, d), nn.Embedding(T, d)
        self.blocks = nn.Sequential(*[Block(d, 4) for _ in range(layers)])
        self.ln = nn.LayerNorm(d)
        self.head = nn.Linear(d, V)

    def forward(self, x):
        return self.head(self.ln(self.blocks(self.tok(x) + self.pos.weight[: x.shape[1]])))


def batch(n=16):
    i = torch.randint(0, len(ids) - T - 1, (n,))
    x = torch.stack([ids[j : j + T] for j in i])
    y = torch.stack([ids[j + 1 : j + T + 1] for j in i])
    return x, y


def loss(logits, y):
    return F.cross_entropy(logits.reshape(-1, V), y.reshape(-1))


def optimizer(m):
    return torch.optim.AdamW(m.parameters(), lr=0.5)


if __name__ == "__main__":
    m = GPT()
    opt = optimizer(m)
    for i in range(150):
        x, y = batch()
        l = loss(m(x), y)
        opt.zero_grad(); l.backward(); opt.step()
        if i % 25 == 0: print(i, l.item())
