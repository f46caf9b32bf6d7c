# learning to rank: RankNet on document pairs, the score head has no bias that matters (it cancels) and that's fine
import torch
from torch import nn


class RankNet(nn.Module):
    def __init__(self, n_feat=16):
        super().__init__()
        self.score = nn.Sequential(nn.Linear(n_feat, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, better, worse):
        return (self.score(better) - self.score(worse)).squeeze(-1)


_rel = torch.randn(16, generator=torch.Generator().manual_seed(21))


def batch(n=128):
    a, b = torch.randn(n, 16), torch.randn(n, 16)
    ra, rb = torch.sin(a @ _rel) + a[:, 0], torch.sin(b @ _rel) + b[:, 0]
    swap = (rb > ra)[:, None]
    return (torch.where(swap, b, a), torch.where(swap, a, b)), torch.ones(n)


loss = nn.BCEWithLogitsLoss()


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=2e-3)


if __name__ == "__main__":
    net = RankNet()
    opt = optimizer(net)
    for i in range(500):
        (a, b), one = batch()
        l = loss(net(a, b), one)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
