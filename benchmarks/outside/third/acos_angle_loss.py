# Loss between two directions with torch.acos gives nan. The forward value looks ok!
import torch
import torch.nn.functional as F
from torch import nn


class PoseNet(nn.Module):
    """Predicts where the camera looks; starts at 'straight ahead'."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(9, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
        self.direction = nn.Linear(64, 3)
        nn.init.zeros_(self.direction.weight)
        with torch.no_grad():
            self.direction.bias.copy_(torch.tensor([0.0, 0.0, 1.0]))

    def forward(self, x):
        return F.normalize(self.direction(self.features(x)), dim=-1)


def loss(pred, true):
    cos = (pred * true).sum(-1)
    return torch.acos(cos).mean()


def pose_batch(n=64):
    d = F.normalize(torch.tensor([0.0, 0.0, 1.0]) + 0.5 * torch.randn(n, 3), dim=-1)
    d[: n // 4] = torch.tensor([0.0, 0.0, 1.0])  # a quarter of the frames look straight ahead
    points = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    x = torch.cat([d @ points, (d @ points) ** 2, d.roll(1, -1)], -1)
    return x + 0.01 * torch.randn_like(x), d


batch = pose_batch


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


if __name__ == "__main__":
    net = PoseNet()
    opt = optimizer(net)
    for step in range(5):
        x, d = batch()
        l = loss(net(x), d)
        opt.zero_grad()
        l.backward()
        opt.step()
        print(step, l.item())
