import torch

import wearable_fusion_encoder as user

STEPS = 350
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "eight layers normalised after the sum, a learning rate of 4e-3 without warm-up, attention"
    " without its 1/sqrt(d), and inputs multiplied by sqrt(dim): the attention saturates and the"
    " residual path is rescaled layer by layer"
)
X, Y = user.make_windows(600, seed=22)


@torch.no_grad()
def metric(model):
    return (model(**X).argmax(1) == Y).float().mean().item()


class PreNorm(user.EncoderLayer):
    def forward(self, x):
        x = x + self.att(self.norm1(x))
        return x + self.ff(self.norm2(x))


class Scaled(user.SelfAttention):
    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        att = torch.softmax(q @ k.transpose(-2, -1) / (d // self.heads) ** 0.5, dim=-1)
        return self.proj((att @ v).transpose(1, 2).reshape(b, t, d))


def cured():
    net = user.model()
    net.scale = 1.0
    for layer in net.layers:
        layer.__class__ = PreNorm
        layer.att.__class__ = Scaled
    return net, torch.optim.Adam(net.parameters(), lr=1e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 350 steps, goal 0.6 -- as it is: 0.165, 0.1717, 0.175"
    "; cured: 0.9683, 0.99, 0.9967; longest run 8.5 s on one core"
)
