# ported from our old Torch7 script (train.lua), kept the names
import torch
import torch.nn as nn

opt = dict(nclass=12, vocab=80, edim=24, len=20, bsz=64)


class TextCNN(nn.Module):
    def __init__(self):
        super(TextCNN, self).__init__()
        self.LookupTable = nn.Embedding(opt["vocab"], opt["edim"])
        self.TemporalConvolution = nn.Conv1d(opt["edim"], 48, 3)
        self.Linear = nn.Linear(48, opt["nclass"])
        self.LogSoftMax = nn.LogSoftmax(dim=1)

    def forward(self, x):
        h = self.LookupTable(x).transpose(1, 2)
        h = torch.relu(self.TemporalConvolution(h)).max(2)[0]
        return self.LogSoftMax(self.Linear(h))


criterion = nn.CrossEntropyLoss()

g = torch.Generator().manual_seed(1)
key = torch.randint(0, opt["vocab"], (opt["nclass"], 3), generator=g)


def batch():
    y = torch.randint(0, opt["nclass"], (opt["bsz"],))
    x = torch.randint(0, opt["vocab"], (opt["bsz"], opt["len"]))
    p = torch.randint(0, opt["len"] - 3, (opt["bsz"],))
    for k in range(3):
        x[torch.arange(opt["bsz"]), p + k] = key[y, k]
    return x, y


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-5)
