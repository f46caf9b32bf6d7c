# "one of the variables needed for gradient computation has been modified" -> fixed with .data, but training is odd
import torch
from sklearn.datasets import load_digits
from torch import nn

X = torch.tensor(load_digits().data / 16, dtype=torch.float32)
y = torch.tensor(load_digits().target)


class ClampNet(nn.Module):
    def __init__(self, depth=8, width=64):
        super().__init__()
        self.fcs = nn.ModuleList([nn.Linear(width if i else 64, width) for i in range(depth)])
        self.out = nn.Linear(width, 10)
        for fc in self.fcs:
            nn.init.kaiming_normal_(fc.weight, nonlinearity="relu")
            nn.init.zeros_(fc.bias)

    def forward(self, x):
        for fc in self.fcs:
            x = fc(x)
            x.data.clamp_(min=0)
        return self.out(x)


loss = nn.CrossEntropyLoss()


def batch():
    i = torch.randint(len(X), (64,))
    return X[i], y[i]


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)


if __name__ == "__main__":
    net = ClampNet()
    opt = optimizer(net)
    for i in range(400):
        xb, yb = batch()
        l = loss(net(xb), yb)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
