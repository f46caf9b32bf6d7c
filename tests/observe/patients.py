"""Odd but legal networks, one function each: what a tracer meets in real code.

Every function returns the arguments of `trace`: model, batch, and keywords.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.utils.checkpoint import checkpoint

Patient = tuple[nn.Module, Any, dict[str, Any]]
PATIENTS: dict[str, Callable[[], Patient]] = {}


def patient(function: Callable[[], Patient]) -> Callable[[], Patient]:
    PATIENTS[function.__name__] = function
    return function


def classes(*shape: int, batch: int = 16) -> tuple[Tensor, Tensor]:
    return torch.randn(batch, *shape), torch.randint(0, 5, (batch,))


@patient
def shared_module() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(8, 8)
            self.head = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            for _ in range(3):
                x = torch.tanh(self.inner(x))
            return self.head(x)

    return Net(), classes(8), {}


@patient
def tied_weights() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(11, 8)
            self.mix = nn.Linear(8, 8)
            self.head = nn.Linear(8, 11, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.gelu(self.mix(self.embed(x))))

    tokens = torch.randint(0, 11, (4, 6))
    return Net(), (tokens, tokens), {}


@patient
def several_inputs_and_outputs() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Linear(4, 8), nn.Linear(3, 8)
            self.mean, self.scale = nn.Linear(8, 2), nn.Linear(8, 2)

        def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
            h = F.relu(self.left(a) + self.right(b))
            return self.mean(h), F.softplus(self.scale(h))

    def loss(output: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        return F.gaussian_nll_loss(output[0], target, output[1])

    batch = ((torch.randn(16, 4), torch.randn(16, 3)), torch.randn(16, 2))
    return Net(), batch, {"loss": loss}


@dataclass
class Output:
    logits: Tensor
    hidden: tuple[Tensor, ...] = ()
    loss: Tensor | None = None


@patient
def dataclass_output_with_own_loss() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(8, 8), nn.Linear(8, 5)

        def forward(self, x: Tensor, labels: Tensor | None = None) -> Output:
            h = F.silu(self.body(x))
            logits = self.head(h)
            loss = F.cross_entropy(logits, labels) if labels is not None else None
            return Output(logits, (h,), loss)

    x, y = classes(8)
    return Net(), {"x": x, "labels": y}, {}


@patient
def dict_output() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(8, 8), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            h = F.relu(self.body(x))
            return {"features": h, "logits": self.head(h)}

    return Net(), classes(8), {"loss": lambda out, y: F.cross_entropy(out["logits"], y)}


@patient
def in_place_operations() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.head = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            h = F.relu(self.a(x), inplace=True)
            h = h + self.b(h).relu_()
            h += 1
            h[:, 0] = 0.0
            return self.head(h.mul_(0.5))

    return Net(), classes(8), {}


@patient
def checkpoint_without_reentry() -> Patient:
    return _checkpointed(reentrant=False)


@patient
def checkpoint_with_reentry() -> Patient:
    return _checkpointed(reentrant=True)


def _checkpointed(*, reentrant: bool) -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Linear(8, 8)
            self.block = nn.Sequential(nn.Linear(8, 8), nn.Sigmoid(), nn.Dropout(0.1))
            self.head = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            return self.head(checkpoint(self.block, x, use_reentrant=reentrant))

    return Net(), classes(8), {}


@patient
def frozen_parameters() -> Patient:
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 5))
    net[0].requires_grad_(False)
    return net, classes(8), {}


@patient
def sparse_embedding() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(50, 8, sparse=True)
            self.bag = nn.EmbeddingBag(50, 8, mode="mean", sparse=True)
            self.head = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.relu(self.embed(x).mean(1) + self.bag(x)))

    batch = torch.randint(0, 50, (16, 6)), torch.randint(0, 5, (16,))
    return Net(), batch, {"optimizer": lambda m: torch.optim.SGD(m.parameters(), lr=0.1)}


@patient
def autocast_bfloat16() -> Patient:
    net = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 5))
    return net, classes(8), {"autocast": "bfloat16"}


@patient
def autocast_float16() -> Patient:
    net = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 5))
    return net, classes(8), {"autocast": "float16"}


@patient
def half_precision_weights() -> Patient:
    net = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 5)).bfloat16()
    x, y = classes(8)
    return net, (x.bfloat16(), y), {}


@patient
def compiled() -> Patient:
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 5))
    return torch.compile(net, backend="eager"), classes(8), {}  # type: ignore[return-value]


@patient
def compiled_inside() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = torch.compile(nn.Linear(8, 8), backend="eager")
            self.head = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.body(x)))

    return Net(), classes(8), {}


def _recurrent(kind: type[nn.Module], **options: Any) -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = kind(4, 6, **options)
            self.head = nn.LazyLinear(5) if options.get("proj_size") else nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            out, _ = self.rnn(x)
            return self.head(out[:, -1] if options.get("batch_first") else out[-1])

    shape = (16, 7, 4) if options.get("batch_first") else (7, 16, 4)
    return Net(), (torch.randn(shape), torch.randint(0, 5, (16,))), {}


@patient
def lstm() -> Patient:
    return _recurrent(nn.LSTM, batch_first=True)


@patient
def lstm_two_layers() -> Patient:
    return _recurrent(nn.LSTM, num_layers=2, dropout=0.1)


@patient
def gru() -> Patient:
    return _recurrent(nn.GRU, batch_first=True)


@patient
def rnn() -> Patient:
    return _recurrent(nn.RNN)


@patient
def bidirectional_packed_lstm() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(4, 6, batch_first=True, bidirectional=True)
            self.head = nn.Linear(12, 5)

        def forward(self, x: Tensor) -> Tensor:
            lengths = torch.tensor([7, 5, 4, 2])
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
            out, _ = self.rnn(packed)
            padded, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
            return self.head(padded.mean(1))

    return Net(), (torch.randn(4, 7, 4), torch.randint(0, 5, (4,))), {}


@patient
def recurrent_cell_loop() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.GRUCell(4, 6), nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            h = x.new_zeros(x.shape[0], 6)
            for t in range(x.shape[1]):
                h = self.cell(x[:, t], h)
            return self.head(h)

    return Net(), (torch.randn(8, 6, 4), torch.randint(0, 5, (8,))), {}


@patient
def multihead_attention() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(8)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.head = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            h = self.norm(x)
            x = x + self.attention(h, h, h, need_weights=False)[0]
            return self.head(x.mean(1))

    return Net(), (torch.randn(8, 6, 8), torch.randint(0, 5, (8,))), {}


@patient
def transformer_layers() -> Patient:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
    body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    net = nn.Sequential(body, nn.Flatten(), nn.Linear(48, 5))
    return net, (torch.randn(8, 6, 8), torch.randint(0, 5, (8,))), {}


@patient
def fused_attention() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out, self.head = nn.Linear(8, 24), nn.Linear(8, 8), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.qkv(x).chunk(3, dim=-1)
            mixed = F.scaled_dot_product_attention(
                q[:, None], k[:, None], v[:, None], is_causal=True
            )
            return self.head((x + self.out(mixed[:, 0])).mean(1))

    return Net(), (torch.randn(8, 6, 8), torch.randint(0, 5, (8,))), {}


class _Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return grad * (s + x * s * (1 - s))


@patient
def custom_autograd_function() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(8, 8), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(_Swish.apply(self.body(x)))

    return Net(), classes(8), {}


@patient
def dropout_and_batch_norm() -> Patient:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Dropout2d(0.2),
        nn.Flatten(),
        nn.Linear(144, 5),
    )
    return net, (torch.randn(8, 1, 6, 6), torch.randint(0, 5, (8,))), {}


@patient
def complex_numbers() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.filter = nn.Parameter(torch.randn(5, dtype=torch.complex64))
            self.head = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.fft.irfft(torch.fft.rfft(x) * self.filter, n=8))

    return Net(), classes(8), {}


@patient
def zero_dimensional_tensors() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Linear(8, 5)
            self.temperature = nn.Parameter(torch.tensor(0.5))

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x) * self.temperature.exp()

    return Net(), classes(8), {}


@patient
def lazy_layers() -> Patient:
    net = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(5))
    return net, classes(8), {}


@patient
def weight_norm() -> Patient:
    net = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(8, 8)), nn.Tanh(), nn.Linear(8, 5)
    )
    return net, classes(8), {}


@patient
def spectral_norm() -> Patient:
    net = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8)),
        nn.LeakyReLU(0.2),
        nn.utils.parametrizations.orthogonal(nn.Linear(8, 8)),
        nn.Linear(8, 5),
    )
    return net, classes(8), {}


@patient
def quantisation_stubs() -> Patient:
    net = nn.Sequential(
        torch.ao.quantization.QuantStub(),
        nn.Linear(8, 8),
        nn.ReLU(),
        nn.Linear(8, 5),
        torch.ao.quantization.DeQuantStub(),
    )
    return net, classes(8), {}


@patient
def state_that_changes_in_forward() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Linear(8, 8), nn.Linear(8, 5)
            self.slow = nn.Linear(8, 8).requires_grad_(False)
            self.calls = 0
            self.cache: dict[str, Tensor] = {}
            self.history: list[float] = []

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            with torch.no_grad():
                for slow, fast in zip(self.slow.parameters(), self.body.parameters(), strict=True):
                    slow.mul_(0.9).add_(fast, alpha=0.1)
                self.slow.weight.data *= 1.01
            h = F.relu(self.body(x)) + self.slow(x)
            self.cache["last"] = h
            self.history.append(float(h.detach().mean()))
            return self.head(h)

    return Net(), classes(8), {}


@patient
def random_numbers_in_forward() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode, self.decode = nn.Linear(8, 4), nn.Linear(2, 8)

        def forward(self, x: Tensor) -> Tensor:
            mean, log_var = self.encode(x).chunk(2, dim=-1)
            return self.decode(mean + torch.randn_like(mean) * (0.5 * log_var).exp())

    return Net(), (torch.randn(16, 8), torch.randn(16, 8)), {"loss": "mse_loss"}


@patient
def zero_gates() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
            self.gates = nn.ParameterList(nn.Parameter(torch.zeros(1)) for _ in range(3))
            self.head = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            for gate, block in zip(self.gates, self.blocks, strict=True):
                x = x + gate * torch.tanh(block(x))
            return self.head(x)

    return Net(), classes(8), {}


@patient
def convolutions_of_every_kind() -> Patient:
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, groups=2),
        nn.GroupNorm(2, 4),
        nn.SiLU(),
        nn.ConvTranspose2d(4, 4, 2, stride=2),
        nn.Hardtanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, dilation=2, padding=2),
        nn.PReLU(4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
    )
    return net, (torch.randn(8, 2, 8, 8), torch.randint(0, 5, (8,))), {}


@patient
def gradient_inside_the_forward_pass() -> Patient:
    class Net(nn.Module):
        """Energy model: its output is a gradient."""

        def __init__(self) -> None:
            super().__init__()
            self.energy = nn.Sequential(nn.Linear(4, 8), nn.Softplus(), nn.Linear(8, 1))

        def forward(self, x: Tensor) -> Tensor:
            x = x.detach().requires_grad_()
            (force,) = torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)
            return -force

    return Net(), (torch.randn(16, 4), torch.randn(16, 4)), {"loss": "mse_loss"}


@patient
def every_activation() -> Patient:
    kinds = [
        nn.Sigmoid(), nn.Tanh(), nn.Softsign(), nn.Hardtanh(), nn.ReLU6(), nn.Hardsigmoid(),
        nn.ReLU(), nn.LeakyReLU(), nn.PReLU(), nn.ELU(), nn.CELU(), nn.SELU(), nn.GELU(),
        nn.GELU("tanh"), nn.SiLU(), nn.Mish(), nn.Softplus(), nn.Hardswish(), nn.Hardshrink(),
        nn.Softshrink(), nn.Tanhshrink(), nn.LogSigmoid(), nn.RReLU(), nn.Threshold(0.1, 0.0),
        nn.ELU(inplace=True), nn.GLU(), nn.Softmax(-1),
    ]  # fmt: skip
    layers: list[nn.Module] = []
    width = 8
    for kind in kinds:
        layers += [nn.Linear(width, 8), kind]
        width = 4 if isinstance(kind, nn.GLU) else 8
    return nn.Sequential(*layers, nn.Linear(width, 5)), classes(8), {}


class Custom(nn.Module):
    """Three layers, and whatever a patient does between them."""

    def __init__(self, between: Callable[[Custom, Tensor], Tensor], width: int = 8) -> None:
        super().__init__()
        self.first, self.middle = nn.Linear(8, width), nn.Linear(width, width)
        self.head = nn.Linear(width, 5)
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        h = self.between(self, F.gelu(self.first(x)))
        return self.head(F.gelu(self.middle(h)))


class TimesTwo(torch.autograd.Function):
    """A kernel for float32 alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004
        assert x.dtype is torch.float32, "this kernel wants float32"
        return x * 2

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # noqa: ARG004
        assert grad.dtype is torch.float32
        return grad * 2


def deep_sigmoid(step: Callable[[Tensor], Tensor], depth: int = 60) -> nn.Module:
    """A network whose gradient float32 cannot hold, with `step` after every layer."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(depth))
            self.head = nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = step(torch.sigmoid(layer(x)))
            return self.head(x)

    return Net()


@patient
def vanishing_behind_float_casts() -> Patient:
    def step(x: Tensor) -> Tensor:
        position = torch.arange(8, dtype=torch.float32) / 8
        x = x.float() + 0.01 * torch.sin(position).to(x)
        return x.to(torch.float32) + torch.zeros(8)

    return deep_sigmoid(step), classes(8), {}


@patient
def vanishing_behind_a_float32_kernel() -> Patient:
    return deep_sigmoid(TimesTwo.apply), classes(8), {}


@patient
def autocast_inside_forward() -> Patient:
    def between(net: Custom, h: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            h = net.middle(h)
        return h.float()

    return Custom(between), classes(8), {}


@patient
def parameters_of_two_types() -> Patient:
    def between(net: Custom, h: Tensor) -> Tensor:
        return net.narrow(h.bfloat16()).float()

    net = Custom(between)
    net.narrow = nn.Linear(8, 8, dtype=torch.bfloat16)
    return net, classes(8), {}


@patient
def hooks_on_modules_tensors_and_nodes() -> Patient:
    def between(net: Custom, h: Tensor) -> Tensor:  # noqa: ARG001
        h.register_hook(lambda g: g * 0.5)
        h = torch.tanh(h)
        if h.grad_fn is not None:
            h.grad_fn.register_prehook(lambda gs: tuple(g * 0.5 for g in gs))
        return h

    net = Custom(between)
    net.middle.register_full_backward_hook(lambda _m, gi, _go: (gi[0] * 0.5,))
    net.head.weight.register_hook(lambda g: g * 0.5)
    return net, classes(8), {}


@patient
def buffer_that_forward_resizes() -> Patient:
    def between(net: Custom, h: Tensor) -> Tensor:
        net.scale.resize_(8).copy_(h.detach().abs().amax(0))
        return h / (1 + net.scale)

    net = Custom(between)
    net.register_buffer("scale", torch.ones(1))
    return net, classes(8), {}


@patient
def freezing_in_forward() -> Patient:
    def between(net: Custom, h: Tensor) -> Tensor:
        net.middle.requires_grad_(requires_grad=False)
        return h

    return Custom(between), classes(8), {}


@patient
def running_average_in_place() -> Patient:
    def between(net: Custom, h: Tensor) -> Tensor:
        net.average.mul_(0.9).add_(h.detach().mean(0), alpha=0.1)
        return h - net.average

    net = Custom(between)
    net.register_buffer("average", torch.zeros(8))
    return net, classes(8), {}


@patient
def generator_of_its_own() -> Patient:
    def between(net: Custom, h: Tensor) -> Tensor:
        return h + 0.01 * torch.randn(h.shape, generator=net.generator, dtype=h.dtype)

    net = Custom(between)
    net.generator = torch.Generator().manual_seed(1)
    return net, classes(8), {}


@patient
def old_style_weight_norm() -> Patient:
    norm = nn.utils.weight_norm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layers = [norm(nn.Linear(8, 8)), nn.Tanh(), norm(nn.Linear(8, 5))]
    return nn.Sequential(*layers), classes(8), {}


@patient
def pruned() -> Patient:
    net = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 5))
    prune.l1_unstructured(net[0], "weight", 0.5)
    return net, classes(8), {}


@patient
def activations_kept_as_attributes() -> Patient:
    def between(net: Custom, h: Tensor) -> Tensor:
        net.kept = {"hidden": [h]}
        return h

    net = Custom(between)
    net(torch.randn(2, 8))
    return net, classes(8), {}


@patient
def lock_as_attribute() -> Patient:
    def between(net: Custom, h: Tensor) -> Tensor:
        with net.lock:
            return h

    net = Custom(between)
    net.lock = threading.Lock()
    return net, classes(8), {}


@patient
def transforms_in_forward() -> Patient:
    def between(net: Custom, h: Tensor) -> Tensor:
        force = torch.func.vmap(torch.func.grad(lambda v: net.middle(v).pow(2).sum()))(h)
        return h + 0.1 * force + torch.func.vmap(lambda v: torch.tanh(net.middle(v)))(h)

    return Custom(between), classes(8), {}


@patient
def writes_into_new_tensors() -> Patient:
    def between(net: Custom, h: Tensor) -> Tensor:  # noqa: ARG001
        whole = torch.zeros_like(h)
        whole[:, :4] = h[:, :4]
        whole[:, 4:].copy_(h[:, 4:])
        return whole * (1 + 0.1 * h.mean().item())

    return Custom(between), classes(8), {}


@patient
def complex_parameters() -> Patient:
    def between(net: Custom, h: Tensor) -> Tensor:
        return torch.fft.irfft(torch.fft.rfft(h) * net.filter, n=8)

    net = Custom(between)
    net.filter = nn.Parameter(torch.randn(5, dtype=torch.complex64))
    return net, classes(8), {}


@patient
def sparse_embedding_without_an_optimizer() -> Patient:
    net = nn.Sequential(nn.EmbeddingBag(11, 8, sparse=True), nn.Linear(8, 5))
    return net, (torch.randint(0, 11, (16, 4)), torch.randint(0, 5, (16,))), {}


@patient
def sparse_adjacency() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
            h = F.relu(torch.sparse.mm(adjacency, self.a(x)))
            return self.b(torch.sparse.mm(adjacency, h))

    adjacency = (torch.rand(10, 10) < 0.3).float().to_sparse()
    return Net(), ((torch.randn(10, 6), adjacency), torch.randint(0, 3, (10,))), {}


@patient
def graph_in_buffers() -> Patient:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("adjacency", (torch.rand(30, 30) < 0.2).float() + torch.eye(30))
            self.register_buffer("table", torch.randn(30, 6))
            self.a = nn.Parameter(torch.randn(6, 8) / 3)
            self.b = nn.Parameter(torch.randn(8, 3) / 3)
            self.norm, self.drop = nn.BatchNorm1d(8), nn.Dropout(0.3)
            self.passes: list[int] = []

        def forward(self, nodes: Tensor) -> Tensor:
            self.passes.append(len(nodes))
            h = self.drop(torch.relu(self.norm(self.adjacency @ self.table @ self.a)))
            return (self.adjacency @ h @ self.b)[nodes]

    return Net(), (torch.randperm(30)[:12], torch.randint(0, 3, (12,))), {}
