# With batch_size=1 (samples arrive one by one) my net prints nan, with 16 it is fine
import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale
from torch import nn

raw = load_diabetes()
X = torch.tensor(scale(raw.data), dtype=torch.float32)
y = torch.tensor(scale(raw.target), dtype=torch.float32)[:, None]


class OnlineNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(10, 32)
        self.b = nn.Linear(32, 32)
        self.c = nn.Linear(32, 1)

    def norm(self, h):
        return (h - h.mean(0, keepdim=True)) / (h.std(0, keepdim=True) + 1e-5)

    def forward(self, x):
        h = torch.relu(self.norm(self.a(x)))
        h = torch.relu(self.norm(self.b(h)))
        return self.c(h)


loss = nn.MSELoss()


def batch():
    i = torch.randint(len(X), (1,))
    return X[i], y[i]


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3)


if __name__ == "__main__":
    net = OnlineNet()
    opt = optimizer(net)
    for i in range(5):
        x, t = batch()
        l = loss(net(x), t)
        opt.zero_grad()
        l.backward()
        opt.step()
        print(l.item())
