# Loss becomes nan at batch 4. When I use only 2 rows per batch it works
import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler
from torch import nn

d = load_diabetes()
X = torch.tensor(StandardScaler().fit_transform(d.data), dtype=torch.float32)
t = torch.tensor((d.target - d.target.mean()) / d.target.std(), dtype=torch.float32).view(-1, 1)

criterion = nn.MSELoss(reduction="sum")


def make_net():
    return nn.Sequential(nn.Linear(10, 50), nn.ReLU(), nn.Linear(50, 50), nn.ReLU(), nn.Linear(50, 1))


def batch():
    i = torch.randint(len(X), (64,))
    return X[i], t[i]


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.05)


if __name__ == "__main__":
    net = make_net()
    opt = optimizer(net)
    for i in range(10):
        xb, tb = batch()
        l = criterion(net(xb), tb)
        opt.zero_grad()
        l.backward()
        opt.step()
        print(i, l.item())
