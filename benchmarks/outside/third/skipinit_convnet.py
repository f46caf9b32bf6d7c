# SkipInit (De & Smith 2020): residual branch times a scalar that starts at 0, no batch norm
import torch
from torch import nn
from sklearn.datasets import load_digits

_digits = load_digits()
pics = torch.from_numpy(_digits.images).float()[:, None] / 8 - 0.6
nums = torch.from_numpy(_digits.target)


class SkipInitBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1 = nn.Conv2d(c, c, 3, padding=1)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1)
        self.alpha = nn.Parameter(torch.zeros(()))
        for conv in (self.conv1, self.conv2):
            nn.init.kaiming_normal_(conv.weight)
            nn.init.zeros_(conv.bias)

    def forward(self, x):
        return x + self.alpha * self.conv2(self.conv1(x.relu()).relu())


def make(blocks=12, c=16):
    return nn.Sequential(
        nn.Conv2d(1, c, 3, padding=1, stride=2), *[SkipInitBlock(c) for _ in range(blocks)],
        nn.ReLU(), nn.Flatten(), nn.Linear(c * 16, 10),
    )


def batch():
    i = torch.randint(0, len(pics), (64,))
    return pics[i], nums[i]


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)


if __name__ == "__main__":
    net = make()
    opt = optimizer(net)
    for step in range(200):
        x, y = batch()
        loss = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad(); loss.backward(); opt.step()
    print(loss.item())
