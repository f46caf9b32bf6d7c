"""
Diagonal state-space layer (S4D-Lin/Real flavour, no CUDA kernel), long-range recall.

The first few symbols of the sequence say which "key" it is, then ~60 filler symbols, and
the class has to be read off at the very last position.  My sanity check before moving to
the LRA tasks.
"""
import torch
from torch import nn
import torch.nn.functional as F

N_KEYS, N_FILLER, L = 6, 4, 64
VOCAB = N_KEYS + N_FILLER


def make_split(n, seed):
    g = torch.Generator().manual_seed(seed)
    keys = torch.randint(0, N_KEYS, (n,), generator=g)
    seq = torch.randint(N_KEYS, VOCAB, (n, L), generator=g)
    pos = torch.randint(0, 4, (n,), generator=g)
    seq[torch.arange(n), pos] = keys
    return seq, keys


class S4DReal(nn.Module):
    def __init__(self, d_model, d_state=16):
        super().__init__()
        # A_n = -(n + 1), stored in log space so that it stays negative
        A = torch.arange(1, d_state + 1).float().repeat(d_model, 1)
        self.log_A = nn.Parameter(torch.log(A))
        self.log_dt = nn.Parameter(torch.rand(d_model))
        self.C = nn.Parameter(torch.randn(d_model, d_state) * d_state ** -0.5)
        self.D = nn.Parameter(torch.ones(d_model))

    def kernel(self, length):
        A = -torch.exp(self.log_A)                      # (H, N)
        dtA = A * torch.exp(self.log_dt).unsqueeze(-1)   # (H, N)
        steps = torch.arange(length, device=A.device)
        powers = torch.exp(dtA.unsqueeze(-1) * steps)    # (H, N, L)
        B_bar = (torch.exp(dtA) - 1.0) / A               # zero-order hold, B = 1
        return torch.einsum("hn,hnl->hl", self.C * B_bar, powers)

    def forward(self, u):                                # u: (B, H, L)
        length = u.size(-1)
        k = self.kernel(length)
        n = 2 * length
        y = torch.fft.irfft(torch.fft.rfft(u, n=n) * torch.fft.rfft(k, n=n), n=n)[..., :length]
        return y + u * self.D.unsqueeze(-1)


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.ssm = S4DReal(d)
        self.out = nn.Linear(d, 2 * d)

    def forward(self, x):
        y = self.ssm(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return x + F.glu(self.out(F.gelu(y)), dim=-1)


class RecallNet(nn.Module):
    def __init__(self, d=32, depth=2):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, d)
        self.blocks = nn.ModuleList([Block(d) for _ in range(depth)])
        self.norm = nn.LayerNorm(d)
        self.head = nn.Linear(d, N_KEYS)

    def forward(self, tokens):
        x = self.embed(tokens)
        for b in self.blocks:
            x = b(x)
        return self.head(self.norm(x[:, -1]))


train_x, train_y = make_split(3072, seed=0)


def model():
    return RecallNet()


def data():
    perm = torch.randperm(len(train_x))
    for idx in perm.split(32):
        yield train_x[idx], train_y[idx]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
