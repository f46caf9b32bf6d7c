# MovieLens-style ratings 1..5; biases + factors; the global mean is in the model
import torch
import torch.nn as nn

torch.manual_seed(0)
N_USER, N_ITEM, K = 300, 200, 8
u_true, i_true = torch.randn(N_USER, 3), torch.randn(N_ITEM, 3)
ratings = (3.5 + 0.7 * (u_true @ i_true.T)).round().clamp(1, 5)


class MF(nn.Module):
    def __init__(self, mu=3.5):
        super().__init__()
        self.user_emb = nn.Embedding(N_USER, K)
        self.item_emb = nn.Embedding(N_ITEM, K)
        self.user_bias = nn.Embedding(N_USER, 1)
        self.item_bias = nn.Embedding(N_ITEM, 1)
        self.mu = mu
        self.user_emb.weight.data.normal_(0, 0.1)
        self.item_emb.weight.data.normal_(0, 0.1)
        self.user_bias.weight.data.zero_()
        self.item_bias.weight.data.zero_()

    def forward(self, u, i):
        dot = (self.user_emb(u) * self.item_emb(i)).sum(1)
        return dot + self.user_bias(u).squeeze(1) + self.item_bias(i).squeeze(1) + self.mu


def batch(n=512):
    u, i = torch.randint(N_USER, (n,)), torch.randint(N_ITEM, (n,))
    return (u, i), ratings[u, i]


loss_fn = nn.MSELoss()


def model():
    return MF()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-5)
