"""Audio-visual fusion. The audio branch is let in by a gate that 'opens when it becomes useful'."""
import torch
from torch import nn


class GatedFusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.video = nn.Sequential(nn.Linear(20, 48), nn.ReLU(), nn.Linear(48, 32))
        self.audio = nn.Sequential(nn.Linear(30, 48), nn.ReLU(), nn.Linear(48, 32))
        self.gate = nn.Linear(64, 32)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, -14.0)
        self.classify = nn.Linear(32, 4)

    def forward(self, video, audio):
        v, a = self.video(video), self.audio(audio)
        g = torch.sigmoid(self.gate(torch.cat([v, a], dim=1)))
        return self.classify(v + g * a)


_g = torch.Generator().manual_seed(4)
_mv, _ma = 1.2 * torch.randn(2, 20, generator=_g), 1.2 * torch.randn(2, 30, generator=_g)


def batch(n=64):
    y = torch.randint(0, 4, (n,))
    return (_mv[y // 2] + torch.randn(n, 20), _ma[y % 2] + torch.randn(n, 30)), y


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)


def metric(net):
    x, y = batch(1000)
    with torch.no_grad():
        return (net(*x).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    net = GatedFusion()
    opt = optimizer(net)
    for i in range(300):
        (v, a), y = batch()
        opt.zero_grad()
        nn.functional.cross_entropy(net(v, a), y).backward()
        opt.step()
    print("accuracy (0.5 without sound):", metric(net))
