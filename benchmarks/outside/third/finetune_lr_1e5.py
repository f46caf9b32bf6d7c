"""Fine-tuning with lr 1e-5, as one does: the net was pretrained on digits, the new camera is dimmer."""
import torch
from sklearn.datasets import load_digits
from torch import nn

dig = load_digits()
P = torch.tensor(dig.data / 8 - 0.6, dtype=torch.float32)
L = torch.tensor(dig.target)


def draw(n, noise, contrast, shift=0.0):
    i = torch.randint(0, len(P), (n,))
    return contrast * P[i] + noise * torch.randn(n, 64) + shift, L[i]


class Pretrained(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
        opt = torch.optim.Adam(self.parameters(), lr=1e-3)
        for _ in range(150):
            x, y = draw(128, 0.1, 1.0)
            opt.zero_grad()
            nn.functional.cross_entropy(self.net(x), y).backward()
            opt.step()

    def forward(self, x):
        return self.net(x)


def batch():
    return draw(128, 0.3, 0.6, 0.4)


def optimizer(m):
    return torch.optim.AdamW(m.parameters(), lr=1e-5, weight_decay=0.01)


def metric(m):
    x, y = draw(4000, 0.3, 0.6, 0.4)
    with torch.no_grad():
        return nn.functional.cross_entropy(m(x), y).item()


HIGHER_IS_BETTER = False

if __name__ == "__main__":
    m = Pretrained()
    opt = optimizer(m)
    print("before", metric(m))
    for i in range(1000):
        x, y = batch()
        l = nn.functional.cross_entropy(m(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print("after", metric(m))
