"""TopK sparse autoencoder (Gao et al. 2024): 8 of 128 latents fire per sample, the rest are zero by design."""
import torch
from torch import nn

_atoms = nn.functional.normalize(torch.randn(64, 32, generator=torch.Generator().manual_seed(0)), dim=1)


class TopKSAE(nn.Module):
    def __init__(self, d=32, latents=128, k=8):
        super().__init__()
        self.k = k
        self.pre_bias = nn.Parameter(torch.zeros(d))
        self.encoder = nn.Linear(d, latents)
        self.decoder = nn.Linear(latents, d, bias=False)
        self.encoder.weight.data = self.decoder.weight.data.T.clone()

    def forward(self, x):
        z = self.encoder(x - self.pre_bias)
        top = z.topk(self.k, dim=-1)
        code = torch.zeros_like(z).scatter(-1, top.indices, top.values.relu())
        return self.decoder(code) + self.pre_bias


def batch(n=256):
    code = (torch.rand(n, 64) < 0.06).float() * (0.5 + torch.rand(n, 64))
    x = code @ _atoms
    return x, x


loss = nn.MSELoss()


def optimizer(m):
    return torch.optim.Adam(m.parameters(), lr=2e-3)


if __name__ == "__main__":
    m = TopKSAE()
    opt = optimizer(m)
    for i in range(500):
        x, _ = batch()
        l = loss(m(x), x)
        opt.zero_grad()
        l.backward()
        opt.step()
    print(l.item())
