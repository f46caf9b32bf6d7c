# tiny audio tagger: which of 5 chords is in this 0.1 s clip?  raw waveform -> 1-D convs
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

RATE = 2560
NOTES = [220.0, 277.2, 329.6, 392.0, 466.2]


def make_clips(n, rng):
    t = np.arange(256) / RATE
    labels = rng.integers(0, 5, n)
    waves = []
    for lab in labels:
        f = NOTES[lab]
        w = np.sin(2 * np.pi * f * t + rng.uniform(0, 6.28)) + 0.5 * np.sin(4 * np.pi * f * t)
        waves.append(w + 0.3 * rng.standard_normal(256))
    return torch.tensor(np.array(waves), dtype=torch.float32)[:, None], torch.tensor(labels)


class ConvTagger(nn.Module):
    def __init__(self, ch=24, n_conv=14):
        super().__init__()
        self.first = nn.Conv1d(1, ch, 9, stride=2, padding=4)
        self.mid = nn.ModuleList([nn.Conv1d(ch, ch, 5, padding=2) for _ in range(n_conv)])
        self.fc = nn.Linear(ch, 5)
        for m in self.modules():
            if isinstance(m, nn.Conv1d):
                nn.init.xavier_normal_(m.weight, gain=0.5)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        x = F.relu(self.first(x))
        for i, conv in enumerate(self.mid):
            x = F.relu(conv(x))
            if i % 4 == 3:
                x = F.max_pool1d(x, 2)
        return self.fc(x.mean(-1))


_rng = np.random.default_rng(0)


def batch():
    return make_clips(32, _rng)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model):
    x, y = make_clips(300, np.random.default_rng(99))
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    m = ConvTagger()
    o = optimizer(m)
    for i in range(300):
        x, y = batch()
        l = F.cross_entropy(m(x), y)
        o.zero_grad(); l.backward(); o.step()
    print("accuracy", metric(m))
