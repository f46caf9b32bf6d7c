# NeuMF, state after training (implicit feedback, 4 negatives are simply the zeros of the matrix)
import torch
from torch import nn

U, I = 120, 80
g = torch.Generator().manual_seed(0)
likes = ((torch.randn(U, 4, generator=g) @ torch.randn(4, I, generator=g)) > 1.5).float()


class NeuMF(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.gu, self.gi = nn.Embedding(U, d), nn.Embedding(I, d)
        self.mu, self.mi = nn.Embedding(U, 2 * d), nn.Embedding(I, 2 * d)
        self.tower = nn.Sequential(nn.Linear(4 * d, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, d), nn.ReLU())
        self.predict = nn.Linear(2 * d, 1)
        for e in (self.gu, self.gi, self.mu, self.mi):
            nn.init.normal_(e.weight, std=0.1)
        for m in self.tower:
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
        nn.init.kaiming_uniform_(self.predict.weight, a=1, nonlinearity="sigmoid")

    def forward(self, user, item):
        gmf = self.gu(user) * self.gi(item)
        mlp = self.tower(torch.cat([self.mu(user), self.mi(item)], 1))
        return self.predict(torch.cat([gmf, mlp], 1)).squeeze(1)


loss = nn.BCEWithLogitsLoss()


def batch(n=256):
    u, i = torch.randint(0, U, (n,)), torch.randint(0, I, (n,))
    return (u, i), likes[u, i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)


def trained_ncf(steps=600):
    torch.manual_seed(0)
    net = NeuMF()
    opt = optimizer(net)
    for _ in range(steps):
        ui, t = batch()
        opt.zero_grad()
        loss(net(*ui), t).backward()
        opt.step()
    return net
