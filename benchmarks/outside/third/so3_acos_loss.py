"""Learn to invert a rotation: geodesic loss on SO(3), net predicts a correction R_out, target often identity."""
import torch
from torch import nn


def rotation(v):
    """axis-angle -> matrix"""
    angle = v.norm(dim=-1, keepdim=True).clamp_min(1e-8)
    k = v / angle
    zero = torch.zeros_like(k[..., 0])
    K = torch.stack([zero, -k[..., 2], k[..., 1], k[..., 2], zero, -k[..., 0], -k[..., 1], k[..., 0], zero], -1)
    K = K.view(*v.shape[:-1], 3, 3)
    a = angle[..., None]
    return torch.eye(3) + a.sin() * K + (1 - a.cos()) * K @ K


class PoseRefiner(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(9, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 3))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, R):
        return rotation(self.net(R.flatten(1)))


def batch(n=64):
    v = 0.8 * torch.randn(n, 3)
    v[: n // 4] = 0.0  # a quarter of the poses need no correction
    R = rotation(v)
    return R, R.transpose(1, 2)


def loss(pred, target):
    trace = (pred.transpose(1, 2) @ target).diagonal(dim1=1, dim2=2).sum(1)
    return torch.acos((trace - 1) / 2).mean()


def optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=1e-3)


if __name__ == "__main__":
    net = PoseRefiner()
    opt = optimizer(net)
    for i in range(300):
        R, t = batch()
        l = loss(net(R), t)
        opt.zero_grad()
        l.backward()
        opt.step()
    print("mean angle", l.item())
