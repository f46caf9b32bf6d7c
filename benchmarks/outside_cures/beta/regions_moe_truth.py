import regions_moe as user
import torch

STEPS = 600
GOAL = 0.92
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "Hard argmax routing has zero derivative: the gate is never trained and random routing mixes the regions."

X, Y = user.make(600, 42)


def metric(model):
    with torch.no_grad():
        return (1 - ((model(X) - Y) ** 2).mean() / Y.var(unbiased=False)).item()


class Soft(user.MixtureOfExperts):
    def forward(self, x):
        route = self.gate(x).softmax(-1)
        answers = torch.cat([expert(x) for expert in self.experts], dim=-1)
        return (route * answers).sum(-1, keepdim=True)


def cured():
    model = Soft()
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.867 0.248 0.621; cured: 0.981 0.992 0.985; goal 0.92, 600 steps, slowest run 0.4 s"
