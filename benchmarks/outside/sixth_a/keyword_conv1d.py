"""tiny keyword spotter, wav files as read by scipy.io.wavfile (16 bit PCM, 8 kHz)"""
import math

import torch
import torch.nn as nn


class KeywordNet(nn.Module):
    def __init__(self, n_words=5):
        super().__init__()
        self.conv1 = nn.Conv1d(1, 16, 16, stride=4)
        self.conv2 = nn.Conv1d(16, 32, 8, stride=4)
        self.conv3 = nn.Conv1d(32, 32, 4, stride=2)
        self.fc = nn.Linear(32, n_words)

    def forward(self, x):
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        x = torch.relu(self.conv3(x))
        return self.fc(x.mean(-1))


def fake_wav(word, n=800):
    t = torch.arange(n) / 8000
    f0 = torch.tensor([200., 380., 620., 1000., 1600.])[word][:, None] * (1 + 0.05 * torch.randn(len(word), 1))
    s = torch.sin(2 * math.pi * f0 * t) + 0.5 * torch.sin(4 * math.pi * f0 * t + 1) + 0.2 * torch.randn(len(word), n)
    vol = 4000 + 4000 * torch.rand(len(word), 1)
    return (s * vol).clamp(-32768, 32767).to(torch.int16)


def batch():
    word = torch.randint(0, 5, (32,))
    return fake_wav(word).float().unsqueeze(1), word


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
