import ticket_lstm as user
import torch

STEPS = 500
GOAL = 0.8
HIGHER_IS_BETTER = True
SICK = True
CAUSE = "All gates, the forget gate too, start nearly closed (bias -1.5): the cell forgets within two steps and no gradient reaches the start."

T, P = user.tickets(600, 66)


def metric(model):
    with torch.no_grad():
        return (model(T).argmax(1) == P).float().mean().item()


def cured():
    model = user.model()
    with torch.no_grad():
        model.lstm.gates.bias.zero_()
        model.lstm.gates.bias[: model.lstm.n] = 3.0
    return model, user.optimizer(model), user.loss

EVIDENCE = "as written, seeds 0 1 2: 0.222 0.248 0.255; cured: 0.998 1 0.998; goal 0.8, 500 steps, slowest run 5.9 s"
