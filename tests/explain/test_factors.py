"""Every factor of an operation against a computation of its own, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from unvanish.core.explanations import Factor, Level
from unvanish.core.glossary import Quantity
from unvanish.core.records import Edge, Recording
from unvanish.explain import explain, explain_site
from unvanish.explain.factors import Book, operation
from unvanish.observe import trace


class Around(nn.Module):
    """A layer, one operation on what it gives, and a layer behind."""

    def __init__(self, step, shape, outputs):
        super().__init__()
        torch.manual_seed(0)
        self.shape, self.step, self.seen = shape, step, None
        self.before = nn.Linear(5, math.prod(shape))
        self.after = nn.Linear(outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.before(x).view(-1, *self.shape)
        self.seen = inner.detach()
        torch.manual_seed(1)  # a dropout drops the same entries again
        return self.after(self.step(inner).flatten(1))


def watched(step, shape, batch=6):
    torch.manual_seed(0)
    if isinstance(step, nn.Module):
        step.double()
    outputs = step(torch.randn(batch, *shape).double()).flatten(1).shape[1]
    model = Around(step, shape, outputs).double()
    torch.manual_seed(2)
    x, y = torch.randn(batch, 5).double(), torch.randint(3, (batch,))
    recording = trace(model, (x, y), loss=F.cross_entropy, probe_steps=0)
    model(x)
    return recording, model.seen


def isotropic(step, x):
    """Return log10 of |J|_F / sqrt(n), with the whole Jacobian written down."""

    def again(z):
        torch.manual_seed(1)
        return step(z)

    jacobian = torch.autograd.functional.jacobian(again, x)
    return math.log10(float(jacobian.norm()) / math.sqrt(again(x).numel()))


def edge_of(recording: Recording, op: str, position: int = 0) -> Edge:
    """Return the edge of the one step with this operation that is not a layer around it."""
    edges = [
        e
        for e in recording.edges
        if recording.sites[e.consumer].op == op
        and recording.sites[e.consumer].path not in ("before", "after")
        and recording.sites[e.producer].role == "signal"
    ]
    return edges[position]


class Cat(nn.Module):
    def forward(self, x):
        return torch.cat([x, torch.ones_like(x)[:, :1]], 1)


@pytest.mark.parametrize(
    ("step", "shape", "op", "factor"),
    [
        (nn.Linear(4, 7), (3, 4), "linear", Factor.WEIGHT_SCALE),
        (nn.Linear(4, 7, bias=False), (4,), "linear", Factor.WEIGHT_SCALE),
        (nn.Conv2d(2, 3, 3), (2, 5, 6), "conv2d", Factor.WEIGHT_SCALE),
        (nn.Conv2d(2, 3, 3, padding=1), (2, 4, 4), "conv2d", Factor.WEIGHT_SCALE),
        (nn.Conv2d(2, 3, (3, 2), padding=2, stride=2), (2, 5, 4), "conv2d", Factor.WEIGHT_SCALE),
        (nn.Conv2d(2, 3, 3, padding=2, dilation=2), (2, 5, 5), "conv2d", Factor.WEIGHT_SCALE),
        (nn.Conv2d(4, 6, 3, padding=1, groups=2), (4, 3, 3), "conv2d", Factor.WEIGHT_SCALE),
        (nn.Conv2d(4, 4, 3, padding="same", groups=4), (4, 4, 4), "conv2d", Factor.WEIGHT_SCALE),
        (nn.Conv1d(2, 3, 5, padding=2, stride=3), (2, 9), "conv1d", Factor.WEIGHT_SCALE),
        (nn.Conv3d(1, 2, 3, padding=1), (1, 3, 3, 3), "conv3d", Factor.WEIGHT_SCALE),
        (
            nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1),
            (2, 3, 4),
            "conv_transpose2d",
            Factor.WEIGHT_SCALE,
        ),
        (nn.Softmax(-1), (3, 5), "softmax", Factor.SOFTMAX),
        (nn.Softmax(1), (4, 3), "softmax", Factor.SOFTMAX),
        (nn.LogSoftmax(-1), (3, 5), "log_softmax", Factor.SOFTMAX),
        (nn.Dropout(0.3), (20,), "dropout", Factor.DROPOUT),
        (nn.AvgPool2d(2), (2, 4, 4), "avg_pool2d", Factor.POOLING),
        (nn.MaxPool2d(2), (2, 4, 4), "max_pool2d", Factor.POOLING),
        (nn.AdaptiveAvgPool2d(2), (2, 4, 4), "adaptive_avg_pool2d", Factor.POOLING),
        (lambda x: x.mean(1), (4, 3), "mean", Factor.POOLING),
        (lambda x: x.sum(1), (4, 3), "sum", Factor.POOLING),
        (lambda x: x.amax(1), (4, 3), "amax", Factor.POOLING),
        (nn.GLU(), (3, 8), "glu", Factor.OPERATING_POINT),
        (lambda x: x.exp(), (6,), "exp", Factor.OPERATING_POINT),
        (lambda x: x**3, (6,), "pow", Factor.OPERATING_POINT),
        (lambda x: 0.25 * x, (6,), "mul", Factor.PRODUCT),
        (lambda x: x / 3.0, (6,), "div", Factor.PRODUCT),
        (lambda x: torch.linspace(-1, 1, 6).double() * x, (2, 6), "mul", Factor.PRODUCT),
        (
            lambda x: torch.lerp(x, torch.ones_like(x), torch.linspace(0, 1, 6).double()),
            (6,),
            "lerp",
            Factor.PRODUCT,
        ),
        (Cat(), (3, 4), "cat", Factor.LAYOUT),
        (lambda x: x.masked_fill(x > 0.3, 0.0), (9,), "masked_fill", Factor.LAYOUT),
        (lambda x: torch.where(x > 0, x, 2.0), (9,), "where", Factor.LAYOUT),
    ],
)
def test_the_scale_is_that_of_the_whole_jacobian(step, shape, op, factor):
    recording, x = watched(step, shape)
    edge = edge_of(recording, op)
    oracle = isotropic(step, x)
    assert edge.log10_scale == pytest.approx(oracle, abs=1e-12)
    leaves = operation(Book(recording), edge).children
    assert leaves[0].factor is factor
    assert leaves[0].log10_gain == pytest.approx(oracle, abs=1e-6)
    assert math.fsum(leaf.log10_gain for leaf in leaves) == pytest.approx(edge.log10_gain)
    assert all(leaf.factor is Factor.ALIGNMENT for leaf in leaves[1:])


@pytest.mark.parametrize(
    "activation",
    [nn.Sigmoid, nn.Tanh, nn.ReLU, nn.GELU, nn.SiLU, nn.ELU, nn.Hardtanh, nn.LeakyReLU],
)
def test_an_activation_is_cap_times_operating_point(activation):
    step = activation()
    recording, x = watched(step, (40,))
    op = next(s.op for s in recording.sites if math.isfinite(s.slope_cap))
    edge = edge_of(recording, op)
    cap, point, alignment = operation(Book(recording), edge).children
    assert edge.log10_scale == pytest.approx(isotropic(step, x), abs=1e-9)
    assert cap.log10_gain + point.log10_gain == pytest.approx(edge.log10_scale, abs=1e-12)
    assert cap.log10_gain == pytest.approx(math.log10(recording.sites[edge.consumer].slope_cap))
    assert alignment.factor is Factor.ALIGNMENT
    if point.log10_gain:
        assert math.fsum(v for _, v in point.parts) == pytest.approx(point.log10_gain, abs=1e-12)


def test_what_an_activation_withholds_is_told_by_place():
    def shares(step, z):
        recording, _ = watched(lambda x: step(0 * x + z), z.shape[1:], batch=z.shape[0])
        op = next(s.op for s in recording.sites if math.isfinite(s.slope_cap))
        point = operation(Book(recording), edge_of(recording, op)).children[1]
        return {name: decades / point.log10_gain for name, decades in point.parts}

    # Unit 0 is dead, unit 1 is off on one sample, unit 2 never.
    z = torch.tensor([[-1.0, -1.0, 1.0], [-2.0, 1.0, 2.0]]).double()
    assert shares(torch.relu, z) == pytest.approx({"dead units": 2 / 3, "left tail": 1 / 3})
    z = torch.tensor([[-9.0, 9.0], [-9.0, 9.0], [-9.0, 9.0], [0.0, 9.0]]).double()
    found = shares(torch.sigmoid, z)
    assert found == pytest.approx({"left tail": 3 / 7, "right tail": 4 / 7}, abs=1e-3)
    z = 0.01 * torch.randn(8, 8).double()
    assert shares(F.gelu, z) == pytest.approx({"half-slope": 1.0})


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("product", [lambda a, b: a @ b.mT, lambda a, b: a * b, torch.bmm])
def test_the_other_side_of_a_product_is_its_matrix(product, side):
    shape = (4, 4)

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            self.seen = [self.a(x), self.b(x)]
            return product(*self.seen)

    step = Both()
    recording, _ = watched(step, shape)
    seen = [tensor.detach() for tensor in step.seen]
    op = "mul" if seen[0].mul(seen[1]).equal(product(*seen)) else None
    op = op or next(s.op for s in recording.sites if s.op in ("matmul", "bmm") and not s.weights)
    edge = edge_of(recording, op, side)

    def of_one(z):
        return product(z, seen[1]) if side == 0 else product(seen[0], z)

    assert edge.log10_scale == pytest.approx(isotropic(of_one, seen[side]), abs=1e-12)
    assert operation(Book(recording), edge).children[0].factor is Factor.PRODUCT


def _groups(kind):
    """Return the axes over which one mean and deviation are taken, and those of the weights."""
    return {
        "layer": ((-1,), (-1,)),
        "batch": ((0, 2, 3), (1,)),
        "instance": ((2, 3), (1,)),
    }[kind]


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(
    ("kind", "norm", "shape"),
    [
        ("layer", lambda a: nn.LayerNorm(6, elementwise_affine=a), (3, 6)),
        ("batch", lambda a: nn.BatchNorm2d(3, affine=a), (3, 4, 4)),
        ("evaluation", lambda a: nn.BatchNorm2d(3, affine=a).eval(), (3, 4, 4)),
        ("group", lambda a: nn.GroupNorm(2, 4, affine=a), (4, 3, 3)),
        ("instance", lambda a: nn.InstanceNorm2d(3, affine=a), (3, 4, 4)),
    ],
)
def test_the_three_terms_of_a_normalisation(kind, norm, shape, affine):
    """Affine, projection and 1 / deviation, each by hand from the input and the gradient."""
    step = norm(affine)
    if affine:
        nn.init.uniform_(step.weight, 0.2, 3.0)
    model = Around(step, shape, math.prod(shape)).double()
    torch.manual_seed(2)
    x, y = torch.randn(6, 5).double(), torch.randint(3, (6,))
    if kind == "evaluation":
        step.running_mean.uniform_(-1, 1)
        step.running_var.uniform_(0.5, 2.0)
    recording = trace(model, (x, y), loss=F.cross_entropy, probe_steps=0)
    model(x)
    inner = model.seen.requires_grad_()
    out = step(inner)
    out.retain_grad()
    F.cross_entropy(model.after(out.flatten(1)), y).backward()
    g = out.grad
    weight = step.weight.detach() if affine else torch.ones(1).double()
    if kind != "layer" and affine:
        weight = weight.view(1, -1, *[1] * (g.ndim - 2))
    u = weight * g
    z = inner.detach()
    if kind == "group":
        z, v = z.reshape(6, 2, -1), u.reshape(6, 2, -1)
        axes: tuple[int, ...] = (2,)
    elif kind == "evaluation":
        v, axes = u, ()
    else:
        v, (axes, _) = u, _groups(kind)
    if kind == "evaluation":
        sigma = (step.running_var + step.eps).sqrt().view(1, -1, 1, 1)
        projected = v
    else:
        centred = z - z.mean(axes, keepdim=True)
        sigma = (centred.square().mean(axes, keepdim=True) + step.eps).sqrt()
        normal = centred / sigma
        projected = v - v.mean(axes, keepdim=True)
        projected = projected - normal * (v * normal).mean(axes, keepdim=True)
    oracle = [
        math.log10(float(u.norm() / g.norm())),
        math.log10(float(projected.norm() / u.norm())),
        math.log10(float((projected / sigma).norm() / projected.norm())),
    ]
    edge = edge_of(recording, next(s.op for s in recording.sites if "norm" in s.op))
    found = operation(Book(recording), edge).children
    assert [leaf.factor for leaf in found] == [
        Factor.NORM_AFFINE,
        Factor.NORM_PROJECTION,
        Factor.NORM_SCALE,
    ]
    assert [leaf.log10_gain for leaf in found] == pytest.approx(oracle, abs=1e-9)


class ByHand(nn.Module):
    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


@pytest.mark.parametrize(
    "step",
    [
        nn.RMSNorm(8),
        ByHand(),
        lambda x: F.normalize(x, dim=-1),
        lambda x: x / x.std(-1, keepdim=True),
    ],
)
def test_a_normalisation_in_steps_is_one_too(step):
    recording, x = watched(step, (3, 8))
    target = next(
        e.producer
        for e in recording.edges
        if recording.sites[e.consumer].op in ("mul", "div")
        and recording.sites[e.producer].op == "view"
    )
    totals = explain_site(recording, target).ledger.by_factor()
    assert totals[Factor.NORM_PROJECTION] < 0.0
    assert Factor.INTERFERENCE not in totals
    assert Factor.BRANCH_ENERGY not in totals
    size = x.norm(dim=-1) if step.__class__.__name__ == "function" else None
    if size is None:
        rms = x.square().mean(-1).sqrt()
        oracle = math.log10(float((1 / rms).square().mean().sqrt()))
        assert totals[Factor.NORM_SCALE] == pytest.approx(oracle, abs=1e-5)


def test_default_tanh_stands_below_its_critical_weights():
    torch.manual_seed(0)
    layers = [part for _ in range(10) for part in (nn.Linear(128, 128), nn.Tanh())]
    model = nn.Sequential(*layers, nn.Linear(128, 4))
    batch = (torch.randn(64, 128), torch.randint(4, (64,)))
    ledger = explain(trace(model, batch, loss=F.cross_entropy, probe_steps=0)).ledger
    # nine layers of variance 1/3 before a tanh, whose critical variance is 1
    assert ledger.against_critical() == pytest.approx(9 * 0.5 * math.log10(1 / 3), abs=0.02)
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                layer.weight.mul_(math.sqrt(3.0))
    ledger = explain(trace(model, batch, loss=F.cross_entropy, probe_steps=0)).ledger
    assert ledger.against_critical() == pytest.approx(0.0, abs=0.02)


def test_he_weights_are_critical_for_relu_and_none_are_before_a_norm():
    torch.manual_seed(0)
    layers = [part for _ in range(6) for part in (nn.Linear(128, 128), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(128, 4))
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    batch = (torch.randn(64, 128), torch.randint(4, (64,)))
    ledger = explain(trace(model, batch, loss=F.cross_entropy, probe_steps=0)).ledger
    assert ledger.against_critical() == pytest.approx(0.0, abs=0.05)
    layers = [part for _ in range(6) for part in (nn.Linear(128, 128), nn.LayerNorm(128))]
    model = nn.Sequential(*layers, nn.Linear(128, 4))
    ledger = explain(trace(model, batch, loss=F.cross_entropy, probe_steps=0)).ledger
    assert math.isnan(ledger.against_critical())


def test_rounding_is_a_factor_where_it_was_measured():
    torch.manual_seed(0)
    layers = [part for _ in range(6) for part in (nn.Linear(32, 32), nn.Tanh())]
    model = nn.Sequential(*layers, nn.Linear(32, 4))
    batch = (torch.randn(16, 32), torch.randint(4, (16,)))
    plain = explain(trace(model, batch, loss=F.cross_entropy, probe_steps=0))
    assert Factor.PRECISION not in plain.ledger.by_factor()
    recording = trace(model, batch, loss=F.cross_entropy, probe_steps=0, autocast="bfloat16")
    found = explain(recording)
    assert 0.0 < abs(found.ledger.by_factor()[Factor.PRECISION]) < 0.1
    assert abs(found.residue) < 1e-9
    ratios = recording[Quantity.LOG10_LEDGER_ROUNDING]
    assert all(abs(ratios[i]) < 0.1 for i in ratios.values)
    recording = trace(
        model.bfloat16(), (batch[0].bfloat16(), batch[1]), loss=F.cross_entropy, probe_steps=0
    )
    found = explain(recording)
    assert 0.0 < abs(found.ledger.by_factor()[Factor.PRECISION]) < 0.1
    assert abs(found.residue) < 1e-9
    plain = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
    wide = plain[found.target] - plain[max(plain.values)]
    assert found.ledger.log10_gain != pytest.approx(wide, abs=1e-6)


def test_a_recording_of_before_the_scales_is_explained_as_before():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 4))
    batch = (torch.randn(16, 8), torch.randint(4, (16,)))
    recording = trace(model, batch, loss=F.cross_entropy, probe_steps=0)
    from dataclasses import replace

    edges = tuple(replace(edge, log10_scale=math.nan) for edge in recording.edges)
    kept = {
        q: p for q, p in recording.profiles.items() if not q.startswith(("log10_norm", "operating"))
    }
    old = explain(replace(recording, edges=edges, profiles=kept))
    assert abs(old.residue) < 1e-12
    assert {leaf.factor for leaf in old.ledger.leaves()} >= {
        Factor.NORM_SCALE,
        Factor.WEIGHT_SCALE,
        Factor.OPERATING_POINT,
    }
    assert all(term.level is not Level.GROUP for term in old.ledger.children)
