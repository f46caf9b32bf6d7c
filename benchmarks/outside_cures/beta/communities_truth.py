import communities as user
import torch

STEPS = 300
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "Twenty-five averaging tanh graph layers without skips: nodes become alike and the gradient vanishes (over-smoothing)."

INPUTS, SIDE = user.make(150, 23)


def metric(model):
    with torch.no_grad():
        return (model(*INPUTS).argmax(-1) == SIDE).float().mean().item()


class Residual(user.GCN):
    def forward(self, x, a):
        h = self.embed(x, a)
        for layer in self.layers:
            h = h + layer(h, a)
        return self.out(h)


def cured():
    model = Residual()
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.516 0.502 0.516; cured: 0.989 0.992 0.992; goal 0.8, 300 steps, slowest run 2.6 s"
