"""1-D conv loudness class (keyword front end). Reads wav files with scipy."""
import io

import numpy as np
import torch
import torch.nn as nn
from scipy.io import wavfile

SR, N = 4000, 800
FREQS = [220, 330, 440, 550, 660, 770]


def synth(k, rng, gains=(0.1, 0.16, 0.24, 0.36, 0.54, 0.8)):
    t = np.arange(N) / SR
    f0 = rng.choice(FREQS)
    tone = np.sin(2 * np.pi * f0 * t + rng.uniform(0, 6.28)) + 0.5 * np.sin(4 * np.pi * f0 * t)
    wav = gains[k] * tone / 1.5 + 0.005 * rng.standard_normal(N)
    f = io.BytesIO()
    wavfile.write(f, SR, (wav * 32767).clip(-32768, 32767).astype(np.int16))
    f.seek(0)
    return f


def load(f):
    sr, y = wavfile.read(f)
    return torch.from_numpy(y.astype("float32"))


rng = np.random.default_rng(0)
ys = rng.integers(0, len(FREQS), 600)
wavs = torch.stack([load(synth(k, rng)) for k in ys])[:, None]
ys = torch.from_numpy(ys)


class LoudnessNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv1d(1, 24, 32, stride=4)
        self.conv2 = nn.Conv1d(24, 32, 8, stride=2)
        self.conv3 = nn.Conv1d(32, 32, 4, stride=2)
        self.fc = nn.Linear(32, len(FREQS))

    def forward(self, x):
        x = torch.tanh(self.conv1(x))
        x = torch.tanh(self.conv2(x))
        x = torch.tanh(self.conv3(x))
        return self.fc(x.pow(2).mean(-1))


def batch():
    i = torch.randint(0, len(ys), (48,))
    return wavs[i], ys[i]


def loss(out, y):
    return nn.functional.cross_entropy(out, y)


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)
