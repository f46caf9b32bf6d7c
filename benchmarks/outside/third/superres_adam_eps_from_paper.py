# Super resolution converges 100x slower than the TensorFlow repo (same lr, same eps as in the config)
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

HR = torch.tensor(load_digits().images / 16, dtype=torch.float32)[:, None]
LR = F.avg_pool2d(HR, 2)


class SRNet(nn.Module):
    def __init__(self, c=24):
        super().__init__()
        self.head = nn.Conv2d(1, c, 3, padding=1)
        self.b1 = nn.Conv2d(c, c, 3, padding=1)
        self.b2 = nn.Conv2d(c, c, 3, padding=1)
        self.tail = nn.Conv2d(c, 4, 3, padding=1)
        self.up = nn.PixelShuffle(2)

    def forward(self, x):
        h = F.relu(self.head(x))
        h = h + self.b2(F.relu(self.b1(h)))
        return self.up(self.tail(h))


loss = nn.MSELoss()


def batch():
    i = torch.randint(len(HR), (32,))
    return LR[i], HR[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3, eps=0.1)


if __name__ == "__main__":
    net = SRNet()
    opt = optimizer(net)
    for i in range(300):
        lo, hi = batch()
        l = loss(net(lo), hi)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
