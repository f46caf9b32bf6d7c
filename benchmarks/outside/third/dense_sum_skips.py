"""'DenseNet but with sums': every layer sees the sum of everything before it."""
import torch
from sklearn.datasets import load_digits
from torch import nn

digits = load_digits()
IMAGES = torch.tensor(digits.data / 16.0, dtype=torch.float32)
LABELS = torch.tensor(digits.target)


class SumDense(nn.Module):
    def __init__(self, width=64, depth=28):
        super().__init__()
        self.stem = nn.Linear(64, width)
        self.body = nn.ModuleList()
        for _ in range(depth):
            lin = nn.Linear(width, width)
            nn.init.kaiming_normal_(lin.weight, nonlinearity="relu")
            nn.init.zeros_(lin.bias)
            self.body.append(lin)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        total = self.stem(x)
        for lin in self.body:
            total = total + torch.relu(lin(total))
        return self.head(total)


def batch(size=100):
    pick = torch.randint(0, len(IMAGES), (size,))
    return IMAGES[pick], LABELS[pick]


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)


def metric(net):
    with torch.no_grad():
        return (net(IMAGES).argmax(1) == LABELS).float().mean().item()


if __name__ == "__main__":
    net = SumDense()
    opt = optimizer(net)
    for _ in range(300):
        x, y = batch()
        opt.zero_grad()
        value = nn.functional.cross_entropy(net(x), y)
        value.backward()
        opt.step()
        print(value.item())
