import torch

import review_sentiment_lstm as user

STEPS = 350
GOAL = 0.75
HIGHER_IS_BETTER = True
SICK = True
CAUSE = (
    "the last time step of an LSTM is read after eighty and more steps of padding: with a forget gate of about one"
    " half, the review has long been forgotten and no gradient comes back to it"
)


@torch.no_grad()
def metric(model):
    model.eval()
    return (model(user.x_test).argmax(1) == user.y_test).float().mean().item()


class Pooled(user.SentimentRNN):
    def forward(self, x):
        out, _ = self.lstm(self.embedding(x))
        length = (x != 0).sum(1)
        last = out[torch.arange(len(x)), length - 1]
        return self.fc(self.dropout(last))


def cured():
    net = Pooled(len(user.VOCAB))
    return net, torch.optim.Adam(net.parameters(), lr=0.001), user.loss


EVIDENCE = (
    "seeds 0, 1, 2, 350 steps, goal 0.75 -- as it is: 0.53, 0.53, 0.47"
    "; cured: 0.9825, 0.9825, 0.975; longest run 2.0 s on one core"
)
