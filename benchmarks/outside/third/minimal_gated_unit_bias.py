# MGU (Zhou et al. 2016) written out.  f = 1 means "take the candidate", so I start it low "to remember"
import torch
from torch import nn


class MGU(nn.Module):
    def __init__(self, n_in, n_hid):
        super().__init__()
        self.n_hid = n_hid
        self.xf = nn.Linear(n_in, n_hid)
        self.hf = nn.Linear(n_hid, n_hid, bias=False)
        self.xc = nn.Linear(n_in, n_hid)
        self.hc = nn.Linear(n_hid, n_hid, bias=False)
        self.xf.bias.data.fill_(-10.0)

    def forward(self, x):
        h = x.new_zeros(x.size(0), self.n_hid)
        for t in range(x.size(1)):
            f = torch.sigmoid(self.xf(x[:, t]) + self.hf(h))
            c = torch.tanh(self.xc(x[:, t]) + self.hc(f * h))
            h = (1 - f) * h + f * c
        return h


class Parity(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = MGU(5, 40)
        self.fc = nn.Linear(40, 5)

    def forward(self, x):
        return self.fc(self.cell(x))


def batch(n=64, T=15):
    """most frequent symbol of the sequence"""
    y = torch.randint(0, 5, (n,))
    s = torch.where(torch.rand(n, T) < 0.4, y[:, None], torch.randint(0, 5, (n, T)))
    return nn.functional.one_hot(s, 5).float(), y


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.3)


if __name__ == "__main__":
    net = Parity()
    opt = optimizer(net)
    for i in range(400):
        x, y = batch()
        l = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
        if i % 100 == 0:
            print(i, l.item())
