import torch
import torch.nn.functional as F
from torch import nn

VOCAB = 300


class TextCNN(nn.Module):
    def __init__(self, d=32, kernels=(3, 4, 5), maps=24, classes=3):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, d)
        self.convs1 = nn.ModuleList([nn.Conv2d(1, maps, (k, d)) for k in kernels])
        self.dropout = nn.Dropout(0.5)
        self.fc1 = nn.Linear(len(kernels) * maps, classes)

    def forward(self, x):
        x = self.embed(x).unsqueeze(1)
        x = [F.relu(conv(x)).squeeze(3) for conv in self.convs1]
        x = [F.max_pool1d(i, i.size(2)).squeeze(2) for i in x]
        return self.fc1(self.dropout(torch.cat(x, 1)))


loss = F.cross_entropy


def batch(n=64, length=25):
    s = torch.randint(10, VOCAB, (n, length))
    label = torch.randint(0, 3, (n,))
    at = torch.randint(0, length - 2, (n,))
    r = torch.arange(n)
    s[r, at], s[r, at + 1], s[r, at + 2] = label, 3 + label, 6 + label
    return s, label


def optimizer(model):
    return torch.optim.Adadelta(model.parameters(), lr=1.0)
