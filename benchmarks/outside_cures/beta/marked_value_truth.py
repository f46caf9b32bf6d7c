import marked_value as user
import torch
from torch import nn

STEPS = 500
GOAL = 0.85
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "Embeddings multiplied by 64 and scores not divided by sqrt(d): the softmax is saturated on one item and the values are so large that training runs away to NaN."

B, A = user.make(500, 31)


def metric(model):
    with torch.no_grad():
        return (model(B).argmax(1) == A).float().mean().item()


class Scaled(user.Attention):
    def forward(self, x):
        scores = self.key(x) @ self.query / x.shape[-1] ** 0.5
        return (scores.softmax(1).unsqueeze(-1) * self.value(x)).sum(1)


class Cured(user.Pooler):
    def forward(self, items):
        return self.head(self.attend(self.embed(items)))


def cured():
    model = Cured()
    model.attend = Scaled(64)
    nn.init.normal_(model.attend.query)
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.18 0.18 0.18; cured: 1 1 1; goal 0.85, 500 steps, slowest run 0.3 s"
