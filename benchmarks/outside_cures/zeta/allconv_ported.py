'''Trains a small all-convolutional net on the 8x8 handwritten digits.

Port of the old mnist_cnn.py example (Keras) to PyTorch. Layer by layer the same, with
the same optimizer and its default settings.
'''
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

batch_size = 64
num_classes = 10

# input image dimensions
img_rows, img_cols = 8, 8

x, y = load_digits(return_X_y=True)
x = x.reshape(-1, 1, img_rows, img_cols).astype('float32') / 16
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.25, random_state=0)
x_train, x_test = torch.from_numpy(x_train), torch.from_numpy(x_test)
y_train, y_test = torch.from_numpy(y_train).long(), torch.from_numpy(y_test).long()
print_shapes = False
if print_shapes:
    print('x_train shape:', x_train.shape)
    print(x_train.shape[0], 'train samples')


def model():
    net = nn.Sequential(
        nn.Conv2d(1, 32, kernel_size=3),
        nn.ReLU(),
        nn.Conv2d(32, 32, kernel_size=3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(32 * 2 * 2, 64),
        nn.ReLU(),
        nn.Dropout(0.25),
        nn.Linear(64, num_classes),
    )
    # glorot_uniform and zeros, as Keras does
    for m in net:
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(m.weight)
            nn.init.zeros_(m.bias)
    return net


def data():
    index = torch.randperm(len(x_train))
    for start in range(0, len(x_train), batch_size):
        pick = index[start:start + batch_size]
        yield x_train[pick], y_train[pick]


loss = nn.CrossEntropyLoss()


def optimizer(model):
    return torch.optim.Adadelta(model.parameters(), lr=0.001, rho=0.95, eps=1e-07)
