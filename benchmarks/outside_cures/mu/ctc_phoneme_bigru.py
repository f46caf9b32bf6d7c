"""Phoneme recogniser: bidirectional GRU + CTC (Graves 2006), on toy filterbank frames."""
import random

import torch
import torch.nn as nn

PHONEMES = ["sil", "a", "e", "i", "o", "s", "t", "m"]
BLANK = 0
N_MEL = 14
MAX_T = 44

_gen = torch.Generator().manual_seed(4)
TEMPLATES = torch.randn(len(PHONEMES), N_MEL, generator=_gen)


def utterance(rng, gen):
    n = rng.randint(4, 7)
    seq, frames = [], []
    for _ in range(n):
        p = rng.choice([q for q in range(1, len(PHONEMES)) if not seq or q != seq[-1]])
        seq.append(p)
        frames.append(TEMPLATES[p].expand(rng.randint(3, 6), -1))
    feats = torch.cat(frames)
    feats = feats + 0.5 * torch.randn(feats.shape, generator=gen)
    return feats, seq


def corpus(n, seed):
    rng, gen = random.Random(seed), torch.Generator().manual_seed(seed)
    feats, targets, n_target, n_frames = [], [], [], []
    for _ in range(n):
        f, s = utterance(rng, gen)
        n_frames.append(len(f))
        n_target.append(len(s))
        feats.append(torch.cat([f, torch.zeros(MAX_T - len(f), N_MEL)]))
        targets.append(s + [0] * (7 - len(s)))
    return torch.stack(feats), torch.tensor(targets), torch.tensor(n_frames), torch.tensor(n_target)


class Recogniser(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.rnn = nn.GRU(N_MEL, hidden, batch_first=True, bidirectional=True)
        self.proj = nn.Linear(2 * hidden, len(PHONEMES))

    def forward(self, feats):
        h, _ = self.rnn(feats)
        return self.proj(h).softmax(dim=-1)     # per-frame phoneme posteriors, (B, T, C)


ctc = nn.CTCLoss(blank=BLANK, zero_infinity=True)


def loss(posteriors, target):
    labels, n_frames, n_labels = target
    return ctc(posteriors.transpose(0, 1), labels, n_frames, n_labels)


FEATS, LABELS, N_FRAMES, N_LABELS = corpus(800, seed=100)


def model():
    return Recogniser()


def data():
    for i in torch.randperm(len(FEATS)).split(16):
        yield FEATS[i], (LABELS[i], N_FRAMES[i], N_LABELS[i])


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
