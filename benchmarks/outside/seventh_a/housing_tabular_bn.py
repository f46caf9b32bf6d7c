"""Flats: price class (low / mid / high) from raw columns; the first layer normalises."""
import torch
from torch import nn

N = 2000
gen = torch.Generator().manual_seed(8)
area = 30 + 120 * torch.rand(N, generator=gen)
year = torch.randint(1890, 2023, (N,), generator=gen).float()
dist = 15000 * torch.rand(N, generator=gen)
income = 25000 + 40000 * torch.rand(N, generator=gen)
district = torch.randint(0, 12, (N,), generator=gen)
effect = torch.randn(12, generator=gen)
price = area / 35 + (year - 1950) / 60 - dist / 5000 + income / 15000 + effect[district]
q1, q2 = price.quantile(0.33), price.quantile(0.67)
label = (price > q1).long() + (price > q2).long()
num = torch.stack([area, year, dist, income], 1)


class TabularModel(nn.Module):
    def __init__(self, emb_dim=6, layers=(64, 32), p=0.1):
        super().__init__()
        self.embeds = nn.Embedding(12, emb_dim)
        self.emb_drop = nn.Dropout(p)
        self.bn_cont = nn.BatchNorm1d(4)
        seq, d = [], emb_dim + 4
        for h in layers:
            seq += [nn.Linear(d, h), nn.ReLU(inplace=True), nn.BatchNorm1d(h), nn.Dropout(p)]
            d = h
        self.layers = nn.Sequential(*seq, nn.Linear(d, 3))

    def forward(self, x_cont, x_cat):
        e = self.emb_drop(self.embeds(x_cat))
        return self.layers(torch.cat([e, self.bn_cont(x_cont)], 1))


def batch(bs=128):
    i = torch.randint(0, N, (bs,))
    return (num[i], district[i]), label[i]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
