import torch
import torch.nn as nn
import torch.nn.functional as F


class AttentionGate(nn.Module):
    def __init__(self, c_skip, c_gate, c_int):
        super().__init__()
        self.wx = nn.Conv2d(c_skip, c_int, 1)
        self.wg = nn.Conv2d(c_gate, c_int, 1)
        self.psi = nn.Conv2d(c_int, 1, 1)
        nn.init.constant_(self.psi.bias, -20.0)

    def forward(self, skip, gate):
        a = torch.sigmoid(self.psi(F.relu(self.wx(skip) + self.wg(gate))))
        return skip * a


class AttUNet(nn.Module):
    def __init__(self, c=12):
        super().__init__()
        self.down1 = nn.Sequential(nn.Conv2d(1, c, 3, padding=1), nn.BatchNorm2d(c), nn.ReLU())
        self.down2 = nn.Sequential(
            nn.Conv2d(c, 2 * c, 3, padding=1), nn.BatchNorm2d(2 * c), nn.ReLU()
        )
        self.up = nn.Conv2d(2 * c, c, 3, padding=1)
        self.gate = AttentionGate(c, c, 8)
        self.final = nn.Conv2d(c, 1, 3, padding=1)

    def forward(self, x):
        s = self.down1(x)
        d = self.down2(F.max_pool2d(s, 8))
        u = F.interpolate(self.up(d), scale_factor=8, mode="nearest")
        return self.final(self.gate(s, u))


def batch(n=8, size=32):
    # isolated bright specks on a noisy background
    specks = (torch.rand(n, 1, size, size) < 0.05).float()
    return 1.5 * specks + 0.3 * torch.randn_like(specks), specks


def loss(logits, mask):
    return F.binary_cross_entropy_with_logits(logits, mask, pos_weight=torch.tensor(10.0))


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=0.01)
