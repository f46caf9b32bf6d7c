import torch
import torch.nn as nn

# synthetic movielens: 300 users x 200 movies, rank-6 taste
g = torch.Generator().manual_seed(5)
U, V = torch.randn(300, 6, generator=g), torch.randn(200, 6, generator=g)
pairs = torch.stack([torch.randint(0, 300, (20000,), generator=g), torch.randint(0, 200, (20000,), generator=g)], 1)
ratings = torch.tanh((U[pairs[:, 0]] * V[pairs[:, 1]]).sum(1) / 2) * 2


class NCF(nn.Module):
    def __init__(self, n_users=300, n_items=200, dim=16):
        super().__init__()
        self.user = nn.Embedding(n_users, dim)
        self.item = nn.Embedding(n_items, dim)
        nn.init.normal_(self.user.weight, std=0.1)
        nn.init.normal_(self.item.weight, std=0.1)
        self.mlp = nn.Sequential(nn.Linear(3 * dim, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, user, item):
        u, v = self.user(user), self.item(item)
        return self.mlp(torch.cat([u, v, u * v], -1)).squeeze(-1)


def batch():
    k = torch.randint(0, len(pairs), (512,))
    return (pairs[k, 0], pairs[k, 1]), ratings[k]


loss = nn.functional.mse_loss


def optimizer(model):
    dense = [p for n, p in model.named_parameters() if n.startswith("mlp")]
    return torch.optim.Adam(dense, lr=1e-2)
