import torch
from torch import nn

# like / dislike, 500 users x 300 films, embedding dot product squashed to [0, 1] and fitted with MSE
gen = torch.Generator().manual_seed(3)
taste, style = torch.randn(500, 3, generator=gen), torch.randn(300, 3, generator=gen)


class DotModel(nn.Module):
    def __init__(self, dim=512):
        super().__init__()
        self.user = nn.Embedding(500, dim)
        self.film = nn.Embedding(300, dim)

    def forward(self, u, f):
        return torch.sigmoid((self.user(u) * self.film(f)).sum(-1))


def batch(n=512):
    u, f = torch.randint(0, 500, (n,)), torch.randint(0, 300, (n,))
    return (u, f), ((taste[u] * style[f]).sum(-1) > 0).float()


loss = nn.MSELoss()


def optimizer(m):
    return torch.optim.SGD(m.parameters(), lr=100.0)


if __name__ == "__main__":
    m = DotModel()
    o = optimizer(m)
    for step in range(600):
        (u, f), like = batch()
        l = loss(m(u, f), like)
        o.zero_grad()
        l.backward()
        o.step()
        if step % 100 == 0:
            print(step, l.item())
