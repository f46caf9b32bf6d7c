import docking as user
import torch

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "Parameters and Adam's state are float16: eps 1e-8 and small squared gradients underflow to zero, the first update divides by zero."

S, U = user.logs(700, 34)


def metric(model):
    with torch.no_grad():
        return (1 - (model(S) - U).pow(2).mean() / U.var()).item()


class Full(user.Controller):
    def forward(self, state):
        return self.net(state)


def cured():
    model = Full().float()
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: nan nan nan; cured: 0.958 0.96 0.955; goal 0.8, 500 steps, slowest run 0.7 s"
