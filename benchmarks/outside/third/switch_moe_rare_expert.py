"""Switch layer, top-1 routing times gate probability; one expert is for a dialect seen in 1 % of rows."""
import torch
from torch import nn

_protos = 3 * torch.randn(4, 8, generator=torch.Generator().manual_seed(2))
_maps = torch.randn(4, 8, generator=torch.Generator().manual_seed(3))


class Switch(nn.Module):
    def __init__(self, d=8, experts=4):
        super().__init__()
        self.router = nn.Linear(d, experts)
        with torch.no_grad():
            self.router.weight.copy_(_protos / 9)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(d, 32), nn.ReLU(), nn.Linear(32, 1)) for _ in range(experts)
        )

    def forward(self, x):
        p = self.router(x).softmax(-1)
        gate, pick = p.max(-1)
        out = x.new_zeros(len(x))
        for e, expert in enumerate(self.experts):
            rows = (pick == e).nonzero().squeeze(1)
            if len(rows):
                out = out.index_add(0, rows, gate[rows] * expert(x[rows]).squeeze(1))
        return out


def batch(n=128):
    kind = torch.multinomial(torch.tensor([0.33, 0.33, 0.33, 0.01]), n, replacement=True)
    x = _protos[kind] + torch.randn(n, 8)
    return x, torch.tanh((x - _protos[kind]) @ _maps.T).gather(1, kind[:, None]).squeeze(1)


loss = nn.MSELoss()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=3e-3)


if __name__ == "__main__":
    m = Switch()
    opt = optimizer(m)
    for i in range(500):
        x, y = batch()
        l = loss(m(x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
