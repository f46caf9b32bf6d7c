"""Long review, mean over all hidden states: no word has to survive 150 steps."""
import torch
from torch import nn


class Review(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(200, 24)
        self.lstm = nn.LSTM(24, 32, batch_first=True)
        self.fc = nn.Linear(32, 1)

    def forward(self, x):
        h, _ = self.lstm(self.emb(x))
        return self.fc(h.mean(dim=1)).squeeze(1)


def batch(n=24, length=150):
    y = torch.randint(0, 2, (n,))
    words = torch.randint(40, 200, (n, length))
    opinion = torch.randint(0, 20, (n, length)) + 20 * y[:, None]
    return torch.where(torch.rand(n, length) < 0.15, opinion, words), y.float()


criterion = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)
