import landing_policy as user
import torch

STEPS = 400
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "Raw telemetry of thousands into tanh: the first layer is saturated for every sample (inputs must be standardised)."

OBS, ACT = user.telemetry(800, 58)
MEAN, STD = user.obs.mean(0), user.obs.std(0)


def metric(model):
    with torch.no_grad():
        return (model(OBS).argmax(1) == ACT).float().mean().item()


class Standardised(user.Policy):
    def forward(self, obs):
        return self.trunk((obs - MEAN) / STD)


def cured():
    model = Standardised()
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.359 0.361 0.344; cured: 0.981 0.984 0.989; goal 0.75, 400 steps, slowest run 0.2 s"
