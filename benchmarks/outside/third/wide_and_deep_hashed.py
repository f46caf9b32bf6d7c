# ad click model: wide part on hashed crosses (EmbeddingBag, starts at zero on purpose), deep part on embeddings
import torch
from torch import nn

BUCKETS = 2000


class WideDeep(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide = nn.EmbeddingBag(BUCKETS, 1, mode="sum")
        nn.init.zeros_(self.wide.weight)
        self.emb = nn.ModuleList([nn.Embedding(50, 8), nn.Embedding(40, 8), nn.Embedding(7, 8)])
        for e in self.emb:
            nn.init.normal_(e.weight, std=0.05)
        self.deep = nn.Sequential(nn.Linear(24, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, cats):
        a, b, c = cats.unbind(1)
        crosses = torch.stack([(a * 40 + b) % BUCKETS, (b * 7 + c + 977) % BUCKETS], 1)
        deep = torch.cat([e(x) for e, x in zip(self.emb, (a, b, c))], 1)
        return (self.wide(crosses) + self.deep(deep)).squeeze(1)


_site = torch.randn(50, generator=torch.Generator().manual_seed(1))
_brand = torch.randn(40, generator=torch.Generator().manual_seed(2))


def batch(n=512):
    cats = torch.stack([torch.randint(0, k, (n,)) for k in (50, 40, 7)], 1)
    logit = 2 * _site[cats[:, 0]] + 2 * _brand[cats[:, 1]] + (cats[:, 2] == 6).float() - 1
    return cats, torch.bernoulli(torch.sigmoid(logit))


loss_fn = nn.BCEWithLogitsLoss()


def optimizer(m):
    return torch.optim.Adagrad(m.parameters(), lr=0.05)


if __name__ == "__main__":
    m = WideDeep()
    opt = optimizer(m)
    for i in range(400):
        x, y = batch()
        l = loss_fn(m(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
