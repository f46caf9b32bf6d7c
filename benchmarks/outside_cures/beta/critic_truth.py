import critic as user
import torch
import torch.nn.functional as F

STEPS = 400
GOAL = 0.6
HIGHER_IS_BETTER = False
SICK = True
CAUSE = "The output is normalised and squashed into (0, 1) while the targets run from about -8 to 6: wrong output for a regression."

S, Q = user.logged(600, 44)


def metric(model):
    with torch.no_grad():
        return (model(S) - Q).abs().mean().item()


class Plain(user.QNet):
    def forward(self, s):
        return self.head(F.elu(self.fc2(F.elu(self.fc1(s)))))


def cured():
    model = Plain()
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 3.15 3.15 3.15; cured: 0.386 0.362 0.437; goal 0.6, 400 steps, slowest run 0.1 s"
