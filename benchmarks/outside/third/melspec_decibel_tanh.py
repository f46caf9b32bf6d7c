# keyword spotting on log-mel features kept in decibel (librosa.power_to_db gives -80 .. 0)
import torch
from torch import nn


class KeywordNet(nn.Module):
    def __init__(self, mels=40, frames=20, words=6):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Flatten(), nn.Linear(mels * frames, 64), nn.Tanh(), nn.Linear(64, 32), nn.Tanh()
        )
        self.head = nn.Linear(32, words)

    def forward(self, spec_db):
        return self.head(self.enc(spec_db))


_templates = torch.rand(6, 40, 20, generator=torch.Generator().manual_seed(1))


def batch(n=64):
    y = torch.randint(0, 6, (n,))
    power = _templates[y] ** 4 * (0.6 + torch.rand(n, 40, 20)) + 1e-3
    loud = torch.exp(torch.randn(n, 1, 1))
    db = 10 * torch.log10(power * loud)
    db = db - 45.0
    return db.clamp(-80, 0), y


def optimizer(net):
    return torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)


def metric(net):
    x, y = batch(500)
    with torch.no_grad():
        return (net(x).argmax(-1) == y).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(0)
    net = KeywordNet()
    opt = optimizer(net)
    for step in range(300):
        x, y = batch()
        opt.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        opt.step()
    print(metric(net))
