import lif_digits as user
import torch

STEPS = 500
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "The spike is a comparison with zero derivative: only the read-out learns, on random spiking features (needs a surrogate gradient)."

X, Y = user.pixels[user.TRAIN :], user.label[user.TRAIN :]


def metric(model):
    with torch.no_grad():
        return (model(X).argmax(1) == Y).float().mean().item()


def surrogate(v):
    soft = torch.sigmoid(4 * (v - 1.0))
    return (v > 1.0).float() + soft - soft.detach()


class Surrogate(user.LIF):
    def forward(self, currents):
        v, out = 0.0, []
        for c in currents:
            v = self.leak * v + self.syn(c)
            s = surrogate(v)
            v = v * (1 - s)
            out.append(s)
        return out


def cured():
    model = user.model()
    model.first = Surrogate(64, 14)
    model.second = Surrogate(14, 14)
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.418 0.426 0.446; cured: 0.892 0.878 0.876; goal 0.75, 500 steps, slowest run 1.2 s"
