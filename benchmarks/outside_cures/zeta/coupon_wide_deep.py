# wide & deep ranking of coupons.  Redemption is mostly luck: an oracle that knows the true
# probabilities reaches an AUC of about 0.72 in the simulator.
import torch
import torch.nn as nn
import torch.nn.functional as F

SHOPPERS, COUPONS, CONTEXT = 3000, 120, 6


class Simulator:
    def __init__(self):
        g = torch.Generator().manual_seed(77)
        self.appeal = 0.55 * torch.randn(COUPONS, generator=g)
        self.weights = 0.27 * torch.randn(CONTEXT, generator=g)

    def logit(self, shopper, coupon, ctx):
        return -2.0 + self.appeal[coupon] + ctx @ self.weights

    def draw(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        shopper = torch.randint(0, SHOPPERS, (n,), generator=g)
        coupon = torch.randint(0, COUPONS, (n,), generator=g)
        ctx = torch.randn(n, CONTEXT, generator=g)
        p = torch.sigmoid(self.logit(shopper, coupon, ctx))
        y = (torch.rand(n, generator=g) < p).float()
        return {"shopper": shopper, "coupon": coupon, "ctx": ctx}, y


sim = Simulator()
events, redeemed = sim.draw(60000, seed=1)


class WideDeep(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.shopper_emb = nn.Embedding(SHOPPERS, dim)
        self.coupon_emb = nn.Embedding(COUPONS, dim)
        self.wide_coupon = nn.Embedding(COUPONS, 1)
        self.wide_ctx = nn.Linear(CONTEXT, 1)
        nn.init.normal_(self.shopper_emb.weight, std=0.01)
        nn.init.normal_(self.coupon_emb.weight, std=0.01)
        nn.init.zeros_(self.wide_coupon.weight)
        self.deep = nn.Sequential(nn.Linear(2 * dim + CONTEXT, 32), nn.ReLU(), nn.Linear(32, 1))
        nn.init.constant_(self.deep[-1].bias, -2.0)  # base rate

    def forward(self, shopper, coupon, ctx):
        deep = self.deep(torch.cat([self.shopper_emb(shopper), self.coupon_emb(coupon), ctx], 1))
        wide = self.wide_coupon(coupon) + self.wide_ctx(ctx)
        return (deep + wide)[:, 0]


def model():
    return WideDeep()


def data():
    for idx in torch.randperm(len(redeemed)).split(200):
        yield {k: v[idx] for k, v in events.items()}, redeemed[idx]


loss = F.binary_cross_entropy_with_logits


def optimizer(model):
    return torch.optim.Adagrad(model.parameters(), lr=0.05)
