import torch
from torch import nn


class ConvLSTMCell(nn.Module):
    def __init__(self, cin, ch, k=3):
        super().__init__()
        self.ch = ch
        self.gates = nn.Conv2d(cin + ch, 4 * ch, k, padding=k // 2)
        with torch.no_grad():
            self.gates.bias[ch : 2 * ch] = 1.0

    def forward(self, x, h, c):
        i, f, o, g = self.gates(torch.cat([x, h], 1)).split(self.ch, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class ConvLSTMNet(nn.Module):
    def __init__(self, ch=12):
        super().__init__()
        self.cell = ConvLSTMCell(1, ch)
        self.out = nn.Conv2d(ch, 1, 3, padding=1)

    def forward(self, video):
        n, t, s, _ = video.shape
        h = c = torch.zeros(n, self.cell.ch, s, s)
        for k in range(t):
            h, c = self.cell(video[:, k : k + 1], h, c)
        return self.out(h)


criterion = nn.BCEWithLogitsLoss()


def batch(n=24, t=6, s=12):
    pos = torch.rand(n, 1, 2) * 4 + 3 + torch.arange(t + 1)[None, :, None] * (torch.rand(n, 1, 2) * 1.4 - 0.7)
    grid = torch.stack(torch.meshgrid(torch.arange(s), torch.arange(s), indexing="ij"), -1)
    v = ((grid - pos[:, :, None, None]) ** 2).sum(-1).lt(2.3).float()
    return v[:, :-1], v[:, -1:]


def optimizer(m):
    return torch.optim.RMSprop(m.parameters(), lr=3e-3)
