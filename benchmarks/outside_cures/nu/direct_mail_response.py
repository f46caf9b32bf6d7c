"""Response to direct mail. People mostly do not answer: 9 % respond, and why is mostly chance."""
import torch
import torch.nn as nn
import torch.nn.functional as F

CARDINALITIES = {"region": 16, "channel": 4, "product": 12}
N_NUMERIC = 8


def campaign(n, seed):
    g = torch.Generator().manual_seed(seed)
    fixed = torch.Generator().manual_seed(90)
    num = torch.randn(n, N_NUMERIC, generator=g)
    cats = {k: torch.randint(c, (n,), generator=g) for k, c in CARDINALITIES.items()}
    score = 0.5 * num[:, 0] - 0.35 * num[:, 1] + 0.3 * (num[:, 2] > 0.5)
    for k, c in CARDINALITIES.items():
        score = score + 0.35 * torch.randn(c, generator=fixed)[cats[k]]
    y = (torch.rand(n, generator=g) < torch.sigmoid(score - 2.8)).float()
    return {"numeric": num, **cats}, y


class ResponseModel(nn.Module):
    def __init__(self, p_drop=0.4):
        super().__init__()
        self.emb = nn.ModuleDict({k: nn.Embedding(c, min(6, c // 2)) for k, c in CARDINALITIES.items()})
        n = N_NUMERIC + sum(e.embedding_dim for e in self.emb.values())
        self.bn = nn.BatchNorm1d(n)
        self.fc1, self.fc2, self.fc3 = nn.Linear(n, 64), nn.Linear(64, 32), nn.Linear(32, 1)
        self.drop = nn.Dropout(p_drop)
        nn.init.constant_(self.fc3.bias, -2.4)  # base rate

    def forward(self, numeric, region, channel, product):
        e = [self.emb["region"](region), self.emb["channel"](channel), self.emb["product"](product)]
        x = self.bn(torch.cat([numeric, *e], 1))
        x = self.drop(F.relu(self.fc1(x)))
        x = self.drop(F.relu(self.fc2(x)))
        return self.fc3(x).squeeze(1)


inputs, answered = campaign(20000, seed=91)


def model():
    return ResponseModel()


def data():
    for i in torch.randperm(len(answered)).split(256):
        yield {k: v[i] for k, v in inputs.items()}, answered[i]


loss = nn.BCEWithLogitsLoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.02)
