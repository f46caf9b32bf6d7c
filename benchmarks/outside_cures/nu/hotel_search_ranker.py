import torch
import torch.nn as nn
import torch.nn.functional as F

# Listwise ranker for hotel search. One sample = one result page of 12 hotels, label = the booked one.

PAGE = 12
NUM_FEATURES = 10
CITIES = 30


def dense(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, n_out), nn.LayerNorm(n_out), nn.ELU())


class HotelRanker(nn.Module):
    """Scores every hotel of a page on its own. Config: widths of the tower."""

    def __init__(self, widths=(64, 64, 32, 1)):
        super().__init__()
        self.city = nn.Embedding(CITIES, 8)
        n = NUM_FEATURES + 8
        tower = []
        for w in widths:
            tower.append(dense(n, w))
            n = w
        self.tower = nn.Sequential(*tower)

    def forward(self, hotels, city):
        c = self.city(city)[:, None, :].expand(-1, hotels.size(1), -1)
        return self.tower(torch.cat([hotels, c], dim=-1)).squeeze(-1)


def pages(n, seed):
    gen = torch.Generator().manual_seed(seed)
    hotels = torch.randn(n, PAGE, NUM_FEATURES, generator=gen)
    city = torch.randint(CITIES, (n,), generator=gen)
    taste = torch.randn(CITIES, generator=torch.Generator().manual_seed(1)) * 0.7
    price, stars, dist, review = hotels[..., 0], hotels[..., 1], hotels[..., 2], hotels[..., 3]
    u = -1.4 * price + 0.9 * stars + taste[city][:, None] * dist + 1.6 * torch.tanh(review) + 0.8 * price * stars
    gumbel = -torch.log(-torch.log(torch.rand(n, PAGE, generator=gen)))
    return hotels, city, (2.5 * u + gumbel).argmax(1)


H, C, BOOKED = pages(3000, seed=5)


def model():
    return HotelRanker()


def data():
    perm = torch.randperm(len(H))
    for i in range(0, len(H) - 63, 64):
        j = perm[i : i + 64]
        yield {"hotels": H[j], "city": C[j]}, BOOKED[j]


def loss(scores, booked):
    # ListNet top-one
    return -F.log_softmax(scores, dim=1).gather(1, booked[:, None]).mean()


def optimizer(model):
    return torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
