"""
Licence-plate style reader: conv -> BiLSTM -> CTC.

Stripped-down repro for the tracker: the training loss is fine, the very same images decode to
rubbish on validation.  Ported from our old TensorFlow/slim code base (hyper-parameters kept).
Images are 8-bit, rendered from six 8x5 glyphs, four to a plate.
"""
import torch
from torch import nn

BLANK = 0
N_GLYPH = 6
PLATE = 4
H, W = 10, 36

_g = torch.Generator().manual_seed(77)
GLYPHS = (torch.rand(N_GLYPH, 8, 5, generator=_g) > 0.5).float()


def render(n, generator):
    img = torch.zeros(n, 1, H, W)
    labels = torch.randint(0, N_GLYPH, (n, PLATE), generator=generator)
    for i in range(n):
        x = int(torch.randint(0, 4, (1,), generator=generator))
        for c in labels[i].tolist():
            y = int(torch.randint(0, 3, (1,), generator=generator))
            img[i, 0, y:y + 8, x:x + 5] = GLYPHS[c]
            x += 6 + int(torch.randint(0, 3, (1,), generator=generator))
    img += 0.15 * torch.randn(img.shape, generator=generator)
    img = (40 + 150 * img).round().clamp(0, 255)
    return img, labels + 1  # 0 is the blank


TRAIN_IMG, TRAIN_LAB = render(1500, _g)
VAL_IMG, VAL_LAB = render(300, _g)


class PlateReader(nn.Module):
    def __init__(self, width=24, hidden=32):
        super().__init__()
        bn = dict(eps=1e-3, momentum=1 - 0.9997)  # slim: decay 0.9997, epsilon 0.001
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width, **bn), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, width * 2, (5, 3), padding=(0, 1), bias=False), nn.BatchNorm2d(width * 2, **bn), nn.ReLU(),
        )
        self.rnn = nn.LSTM(width * 2, hidden, bidirectional=True, batch_first=True)
        self.classifier = nn.Linear(2 * hidden, N_GLYPH + 1)

    def forward(self, img):
        f = self.features(img).squeeze(2).transpose(1, 2)  # B, T, C
        h, _ = self.rnn(f)
        return self.classifier(h).log_softmax(2)


def greedy(scores):
    out = []
    for row in scores.argmax(2).tolist():
        word, last = [], BLANK
        for c in row:
            if c != BLANK and c != last:
                word.append(c)
            last = c
        out.append(word)
    return out


_ctc = nn.CTCLoss(blank=BLANK)


def loss(output, target):
    b, t, _ = output.shape
    return _ctc(output.permute(1, 0, 2), target, torch.full((b,), t), torch.full((b,), PLATE))


def model():
    return PlateReader()


def data():
    for i in torch.randperm(len(TRAIN_IMG)).split(32)[:-1]:
        yield TRAIN_IMG[i], TRAIN_LAB[i]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=2e-3)
