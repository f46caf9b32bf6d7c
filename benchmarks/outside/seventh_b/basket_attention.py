# session recommender: attend over the basket with a key mask.
import torch
import torch.nn as nn

N_ITEMS = 50


class BasketAttention(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.items = nn.Embedding(N_ITEMS + 1, dim, padding_idx=0)
        self.user = nn.Embedding(16, dim)
        self.q, self.k, self.v = (nn.Linear(dim, dim) for _ in range(3))
        self.out = nn.Sequential(nn.Linear(2 * dim, 64), nn.ReLU(), nn.Linear(64, N_ITEMS + 1))

    def forward(self, user, basket):
        e, u = self.items(basket), self.user(user)
        score = torch.einsum("bd,btd->bt", self.q(u), self.k(e)) / e.shape[-1] ** 0.5
        score = score.masked_fill(basket == 0, float("-inf"))
        ctx = torch.einsum("bt,btd->bd", score.softmax(-1), self.v(e))
        return self.out(torch.cat([u, ctx], -1))


def batch(n=128, t=8):
    user = torch.randint(0, 16, (n,))
    basket = torch.randint(1, N_ITEMS + 1, (n, t))
    length = torch.randint(0, t + 1, (n, 1))
    basket = basket.masked_fill(torch.arange(t) >= length, 0)
    nxt = torch.where(basket[:, 0] > 0, basket[:, 0] % N_ITEMS + 1, user + 1)
    return {"user": user, "basket": basket}, nxt


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)
