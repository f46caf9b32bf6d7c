import torch
import torch.nn as nn

# --- data: flats sold in one city, five columns straight from the export ---
gen = torch.Generator().manual_seed(2024)
n = 3000
area = 25 + 120 * torch.rand(n, generator=gen)              # m2
rooms = (area / 28 + torch.randn(n, generator=gen) * 0.6).clamp(1, 7).round()
built = 1900 + 120 * torch.rand(n, generator=gen)           # year
metres = 200 + 14000 * torch.rand(n, generator=gen)         # to the centre
income = 21000 + 40000 * torch.rand(n, generator=gen)       # of the district
price = (
    2600 * area
    + 1500 * (built - 1900).clamp(min=40)
    - 9.0 * metres
    + 4.0 * income
    + 0.05 * area * (income - 40000)
    + 9000 * rooms
    + 12000 * torch.randn(n, generator=gen)
)
table = torch.stack([area, rooms, built, metres, income], dim=1)
price = price.unsqueeze(1)

X_train, y_train = table[:2400], price[:2400]
X_val, y_val = table[2400:2700], price[2400:2700]


def model():
    return nn.Sequential(
        nn.Linear(5, 64),
        nn.ReLU(),
        nn.Linear(64, 64),
        nn.ReLU(),
        nn.Linear(64, 1),
    )


def data(seed=0):
    order = torch.randperm(len(X_train), generator=torch.Generator().manual_seed(seed))
    for i in range(0, len(order), 64):
        j = order[i : i + 64]
        yield X_train[j], y_train[j]


loss = nn.MSELoss()


def optimizer(model):
    return torch.optim.Adam(model.parameters(), lr=1e-3)


def metric(model):
    """R squared"""
    model.eval()
    with torch.no_grad():
        rest = ((model(X_val) - y_val) ** 2).sum()
    model.train()
    return 1 - (rest / ((y_val - y_val.mean()) ** 2).sum()).item()
