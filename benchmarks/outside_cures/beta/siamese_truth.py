import siamese as user
import torch

STEPS = 400
GOAL = 0.88
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "sqrt has an infinite derivative at zero: the first pair of identical recordings makes every weight NaN."

INPUTS, SAME = user.pairs(600, 40)


def metric(model):
    with torch.no_grad():
        distance = model(*INPUTS)
        if not distance.isfinite().all():
            return 0.0
        return ((distance < 1.0).float() == SAME).float().mean().item()


class Safe(user.Siamese):
    def forward(self, left, right):
        gap = self.tower(left) - self.tower(right)
        return torch.sqrt((gap**2).sum(1) + 1e-6)


def cured():
    model = Safe()
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0 0 0; cured: 0.995 0.995 0.993; goal 0.88, 400 steps, slowest run 0.6 s"
