import torch

import warranty_claims_gru as user

STEPS = 500
GOAL = 0.6
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "ten words are followed by seventy pads, and the state after the last pad is read: each step"
    " forgets half, and neither the words nor their gradient survive"
)
X, Y = user.corpus(600, seed=2)


@torch.no_grad()
def metric(model):
    return (model(X).argmax(1) == Y).float().mean().item()


class LastWord(user.ClaimClassifier):
    def forward(self, tokens):
        states, _ = self.rnn(self.embed(tokens))
        last = (tokens != 0).sum(1) - 1
        return self.out(states[torch.arange(len(tokens)), last])


def cured():
    net = LastWord()
    return net, torch.optim.Adam(net.parameters(), lr=3e-3), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 500 steps, goal 0.6 -- as it is: 0.1883, 0.1883, 0.1883"
    "; cured: 0.9733, 0.9667, 0.9683; longest run 6.3 s on one core"
)
