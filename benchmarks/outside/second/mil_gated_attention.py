import torch
import torch.nn as nn


class GatedMIL(nn.Module):
    def __init__(self, d=32, a=16):
        super().__init__()
        self.feat = nn.Sequential(nn.Linear(10, d), nn.ReLU())
        self.V, self.U, self.w = nn.Linear(d, a), nn.Linear(d, a), nn.Linear(a, 1)
        self.clf = nn.Linear(d, 1)

    def forward(self, bags):
        h = self.feat(bags)
        a = self.w(torch.tanh(self.V(h)) * torch.sigmoid(self.U(h))).softmax(dim=1)
        return self.clf((a * h).sum(1)).squeeze(-1)


def batch(n=64, k=20):
    bags = torch.randn(n, k, 10)
    y = (torch.rand(n) < 0.5).float()
    bags[:, 0, :3] += 3.5 * y[:, None]
    return bags, y


loss = nn.BCEWithLogitsLoss()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=5e-3, weight_decay=1e-5)
