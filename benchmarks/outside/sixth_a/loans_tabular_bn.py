import torch
import torch.nn as nn

g = torch.Generator().manual_seed(3)
n = 4000
income = torch.exp(10.5 + 0.5 * torch.randn(n, generator=g))
amount = torch.exp(9 + 0.8 * torch.randn(n, generator=g))
age = 20 + 45 * torch.rand(n, generator=g)
term = torch.tensor([12., 24., 36., 60.])[torch.randint(0, 4, (n,), generator=g)]
purpose = torch.randint(0, 8, (n,), generator=g)
risk = 2.2 * (amount / income).log() + 2.4 - 0.04 * (age - 40) + 0.02 * term + torch.linspace(-1.5, 1.5, 8)[purpose]
label = (risk + 0.3 * torch.randn(n, generator=g) > 0).float()
num = torch.stack([income, amount, age, term], 1)


class LoanNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(8, 4)
        self.bn_in = nn.BatchNorm1d(4)
        self.net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.BatchNorm1d(64), nn.Dropout(0.1), nn.Linear(64, 1))

    def forward(self, num, cat):
        return self.net(torch.cat([self.bn_in(num), self.emb(cat)], 1)).squeeze(1)


def data():
    for idx in torch.randperm(n).split(200):
        yield (num[idx], purpose[idx]), label[idx]


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-3)
