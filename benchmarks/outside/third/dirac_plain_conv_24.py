"""24 plain 3x3 convolutions without norm or skip, delta-orthogonal-ish start: dirac kernels, tanh."""
import torch
from sklearn.datasets import load_digits
from torch import nn

src = load_digits()
A = torch.tensor(src.images / 16 - 0.3, dtype=torch.float32).unsqueeze(1)
B = torch.tensor(src.target)


class PlainConv(nn.Module):
    def __init__(self, depth=24, c=16):
        super().__init__()
        self.stem = nn.Conv2d(1, c, 3, padding=1)
        self.stack = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for _ in range(depth))
        for conv in self.stack:
            nn.init.zeros_(conv.weight)
            with torch.no_grad():
                q = torch.linalg.qr(torch.randn(c, c))[0]
                conv.weight[:, :, 1, 1] = q
            nn.init.zeros_(conv.bias)
        self.fc = nn.Linear(c * 16, 10)

    def forward(self, x):
        x = torch.tanh(self.stem(x))
        for conv in self.stack:
            x = torch.tanh(conv(x))
        return self.fc(nn.functional.max_pool2d(x, 2).flatten(1))


def batch():
    i = torch.randint(0, len(A), (48,))
    return A[i], B[i]


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)


if __name__ == "__main__":
    net = PlainConv()
    opt = optimizer(net)
    for step in range(150):
        x, y = batch()
        l = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
