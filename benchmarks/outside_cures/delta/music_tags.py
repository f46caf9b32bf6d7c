# multi-label tagging of music clips from pooled mel features (40 bands: mean and deviation over time)
import torch
import torch.nn as nn
import torch.nn.functional as F

N_TAGS = 24
gen = torch.Generator().manual_seed(17)
proto = torch.randn(N_TAGS, 80, generator=gen)


def clips(n):
    tags = (torch.rand(n, N_TAGS, generator=gen) < 0.05).float()
    feats = tags @ proto * 0.6 + 0.7 * torch.randn(n, 80, generator=gen)
    return feats, tags


X_train, Y_train = clips(3000)
X_val, Y_val = clips(500)
X_test, Y_test = clips(800)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.ModuleDict({
            "in": nn.Linear(80, 128),
            "mid": nn.Linear(128, 128),
            "out": nn.Linear(128, N_TAGS),
        })
        self.drop = nn.Dropout(0.1)

    def forward(self, feats):
        h = F.relu(self.body["in"](feats))
        h = self.drop(F.relu(self.body["mid"](h)))
        return torch.sigmoid(self.body["out"](h))  # probabilities for the app


def model():
    return Tagger()


def data():
    for i in torch.randperm(len(X_train)).split(64):
        yield {"feats": X_train[i]}, Y_train[i]


criterion = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2)


def f1(model, x, y):
    """F1 over all tags, as many tags as there are true ones"""
    model.eval()
    with torch.no_grad():
        p = model(x)
    model.train()
    k = int(y.sum())
    top = p.flatten().topk(k).indices
    return y.flatten()[top].mean().item()


def metric(model):
    return f1(model, X_val, Y_val)


GOAL = 0.6
HIGHER_IS_BETTER = True
