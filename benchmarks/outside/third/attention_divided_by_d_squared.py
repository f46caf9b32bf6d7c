# key-value recall with one attention head; the scale is d ** -2 (a slip for d ** -0.5)
import torch
from torch import nn


class Recall(nn.Module):
    def __init__(self, d=64, keys=16):
        super().__init__()
        self.key_emb = nn.Embedding(keys, d)
        self.val_emb = nn.Embedding(8, d)
        self.wq, self.wk, self.wv = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.out = nn.Linear(d, 8)
        self.scale = d ** -2

    def forward(self, keys, values, query):
        q = self.wq(self.key_emb(query))[:, None]
        k, v = self.wk(self.key_emb(keys)), self.wv(self.val_emb(values))
        w = (q @ k.transpose(1, 2) * self.scale).softmax(-1)
        return self.out((w @ v)[:, 0])


def batch(n=64, m=12):
    keys = torch.rand(n, 16).argsort(1)[:, :m]
    values = torch.randint(0, 8, (n, m))
    j = torch.randint(0, m, (n, 1))
    return (keys, values, keys.gather(1, j)[:, 0]), values.gather(1, j)[:, 0]


def optimizer(m):
    return torch.optim.SGD(m.parameters(), lr=0.3, momentum=0.9)


if __name__ == "__main__":
    m = Recall()
    opt = optimizer(m)
    for i in range(400):
        x, y = batch()
        l = nn.functional.cross_entropy(m(*x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
