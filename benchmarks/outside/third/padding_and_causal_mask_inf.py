"""Decision-transformer-like: predict the next action from (return, state, action) with -inf masks, left padding."""
import torch
from torch import nn

T = 12


class DecisionTransformer(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.ret, self.state, self.act = nn.Linear(1, d), nn.Linear(3, d), nn.Embedding(4, d)
        self.time = nn.Embedding(T, d)
        self.qkv = nn.ModuleList(nn.Linear(d, 3 * d) for _ in range(2))
        self.proj = nn.ModuleList(nn.Linear(d, d) for _ in range(2))
        self.ff = nn.ModuleList(nn.Sequential(nn.Linear(d, 2 * d), nn.ReLU(), nn.Linear(2 * d, d)) for _ in range(2))
        self.n1, self.n2 = nn.ModuleList(nn.LayerNorm(d) for _ in range(2)), nn.ModuleList(nn.LayerNorm(d) for _ in range(2))
        self.out = nn.Linear(d, 4)

    def forward(self, rtg, states, prev_actions, lengths):
        h = self.ret(rtg) + self.state(states) + self.act(prev_actions) + self.time.weight
        B = len(h)
        pos = torch.arange(T)
        pad = pos[None] < (T - lengths)[:, None]
        mask = torch.zeros(B, T, T).masked_fill(pos[None, :] > pos[:, None], float("-inf"))
        mask = mask.masked_fill(pad[:, None, :], float("-inf"))
        mask = mask.masked_fill(torch.eye(T, dtype=torch.bool), 0.0)  # a padded row may look at itself
        for i in range(2):
            q, k, v = self.qkv[i](self.n1[i](h)).chunk(3, -1)
            a = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + mask, -1)
            h = h + self.proj[i](a @ v)
            h = h + self.ff[i](self.n2[i](h))
        return self.out(h)


def batch(n=32):
    states = torch.randn(n, T, 3)
    rtg = torch.rand(n, T, 1)
    lengths = torch.randint(3, T + 1, (n,))
    best = (states[..., 0] > 0).long() * 2 + (states[..., 1] > rtg[..., 0]).long()
    prev = torch.cat([torch.zeros(n, 1, dtype=torch.long), best[:, :-1]], 1)
    valid = torch.arange(T)[None] >= (T - lengths)[:, None]
    return (rtg, states, prev, lengths), torch.where(valid, best, -100)


def loss(logits, actions):
    return nn.functional.cross_entropy(logits.reshape(-1, 4), actions.reshape(-1), ignore_index=-100)


def optimizer(m):
    return torch.optim.AdamW(m.parameters(), lr=1e-3, weight_decay=1e-4)


if __name__ == "__main__":
    m = DecisionTransformer()
    opt = optimizer(m)
    for i in range(250):
        x, y = batch()
        l = loss(m(*x), y)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
