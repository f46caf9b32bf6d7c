import torch
import torch.nn as nn
from sklearn.datasets import load_digits

# stand-in images until the microscope ones are released: same size, ten classes
imgs, labels = load_digits(return_X_y=True)
imgs = torch.tensor(imgs, dtype=torch.float32).view(-1, 1, 8, 8)
imgs = (imgs - imgs.mean()) / imgs.std()
labels = torch.tensor(labels, dtype=torch.long)


class PollenCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(True),
            nn.Conv2d(24, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(True),
            nn.MaxPool2d(2),
            nn.Conv2d(24, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(True),
            nn.AdaptiveAvgPool2d(1),
        )
        self.classifier = nn.Linear(48, 10)

    def forward(self, x):
        x = self.features(x)
        return self.classifier(torch.flatten(x, 1))


def batch():
    i = torch.randint(0, len(imgs), (64,))
    return imgs[i], labels[i]


loss = nn.functional.cross_entropy


def optimizer(model):
    return torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9, nesterov=True, weight_decay=5e-4)
