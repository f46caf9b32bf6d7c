# Maximum likelihood for sequences. The loss is 69.0776 in every iteration
import torch
from torch import nn

T, K = 60, 20
perm = torch.randperm(K, generator=torch.Generator().manual_seed(1))


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(K, 24)
        self.gru = nn.GRU(24, 32, batch_first=True)
        self.out = nn.Linear(32, K)

    def forward(self, tokens):
        h, _ = self.gru(self.emb(tokens))
        return torch.softmax(self.out(h), dim=-1)


def loss(probs, tags):
    p = probs.gather(2, tags[..., None]).squeeze(2)
    likelihood = p.prod(dim=1)  # independent tags: multiply
    return -torch.log(likelihood + 1e-30).mean()


def batch(n=32):
    tokens = torch.randint(0, K, (n, T))
    return tokens, perm[tokens]


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=3e-3)


if __name__ == "__main__":
    model = Tagger()
    opt = optimizer(model)
    for i in range(300):
        x, t = batch()
        l = loss(model(x), t)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
