# A stream of clicks; at the end say which of the buttons was pressed first.
import torch
from torch import nn

BUTTONS = 5
T = 20


def build(n, seed):
    g = torch.Generator().manual_seed(seed)
    clicks = torch.zeros(n, T, BUTTONS)
    first = torch.randint(BUTTONS, (n,), generator=g)
    when = torch.randint(0, 8, (n,), generator=g)
    for i in range(n):
        clicks[i, when[i], first[i]] = 1
        for t in torch.randint(10, T, (3,), generator=g).tolist():
            clicks[i, t] = 0
            clicks[i, t, torch.randint(BUTTONS, (1,), generator=g)] = 1
    return clicks, first


class StreamReader(nn.Module):
    def __init__(self, size=32):
        super().__init__()
        self.size = size
        self.cell = nn.GRUCell(BUTTONS, size)
        self.decide = nn.Sequential(nn.Linear(size, 32), nn.ReLU(), nn.Linear(32, BUTTONS))

    def forward(self, clicks):
        h = clicks.new_zeros(len(clicks), self.size)
        for t in range(clicks.shape[1]):
            h = self.cell(clicks[:, t], h.detach())  # keeps memory bounded on long streams
        return self.decide(h)


def model():
    return StreamReader()


clicks, first = build(1200, 0)
val_clicks, val_first = build(300, 1)


def data(seed=0):
    order = torch.randperm(len(first), generator=torch.Generator().manual_seed(seed))
    for idx in order.split(60):
        yield clicks[idx], first[idx]


criterion = nn.CrossEntropyLoss()
loss = criterion


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=5e-3)


HIGHER_IS_BETTER = True
GOAL = 0.85


def metric(model):
    model.eval()
    with torch.no_grad():
        hits = model(val_clicks).argmax(1) == val_first
    return hits.float().mean().item()
