import torch
import torch.nn as nn

MIN_DEPTH, MAX_DEPTH = 1.0, 80.0


class DepthNet(nn.Module):
    """tiny monodepth; output range as in the tensorflow graph (tf.clip_by_value)"""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(2, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
            nn.Conv2d(24, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
            nn.Conv2d(24, 1, 3, padding=1),
        )
        nn.init.normal_(self.net[-1].weight, std=0.01)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x):
        return torch.clamp(self.net(x), MIN_DEPTH, MAX_DEPTH)


def batch(n=16, s=12):
    base = nn.functional.interpolate(torch.rand(n, 1, 3, 3), size=(s, s), mode="bilinear")
    depth = 1.5 + 6 * base
    disparity = 3.0 / depth
    x = torch.cat([disparity + 0.02 * torch.randn_like(disparity), base.roll(1, -1) - 0.5], 1)
    return x, depth


def loss(pred, depth):
    return (pred.log() - depth.log()).abs().mean()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
