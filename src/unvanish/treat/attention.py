"""The attention of a network: what its scores are products of, and what can be put into them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from unvanish.core.errors import UnvanishError
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Site
from unvanish.core.wiring import Wiring
from unvanish.diagnose.routers import routers, scores
from unvanish.diagnose.scores import is_scaled
from unvanish.treat.ways import NORMS, weight_of

FUSED: Final = "scaled_dot_product_attention"
MODULE: Final = "multi_head_attention_forward"
PRODUCTS: Final = frozenset({"matmul", "bmm"})
_TINY: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """One place at which queries meet keys.

    Attributes:
        softmax: The softmax of its first call.
        path: Path of the module in whose forward they are multiplied.
        function: What multiplies them: a product, or PyTorch's function for all of it.
        call: Which call of that function in the forward.
        softmax_call: Which softmax in the forward of the module that calls it.
        width: Entries d of a query.
        spread: Standard deviation of the scores of a query; the largest of its calls.
        scaled: Whether scores, queries or keys are multiplied with a constant.
        normalised: Whether queries or keys are normalised already.
        query: Name of the weight that makes the first factor; empty where it cannot be told.
        key: The same of the second.
        value: The same of what is weighed.
    """

    softmax: Site
    path: str
    function: str
    call: int
    softmax_call: int
    width: int
    spread: float
    scaled: bool
    normalised: bool
    query: str
    key: str
    value: str

    @property
    def apart(self) -> tuple[str, ...]:
        """Names of the weights that make queries or keys and nothing else."""
        if self.query == self.key:
            return ()
        return tuple(one for one in (self.query, self.key) if one and one != self.value)


def attentions_of(recording: Recording) -> tuple[Attention, ...]:
    """Return every place at which a softmax of products of queries and keys weighs values.

    Args:
        recording: One look at the network.
    """
    wiring = Wiring(recording)
    shapes = {p.name: p.shape for p in recording.parameters}
    between_experts = {site.index for site in routers(wiring)}
    spread = recording[Quantity.SCORE_SPREAD]
    found: dict[tuple[object, ...], Attention] = {}
    for site in recording.signal_sites():
        weighed = wiring.weighs(site) if "softmax" in site.op else None
        product = scores(wiring, site)
        if weighed is None or product is None or site.index in between_experts:
            continue
        operands = wiring.producers(product)
        width = _contracted(operands)
        if not width:
            continue
        line = product.source.line if product.source else 0
        makers = tuple(_made_by(wiring, one, shapes) for one in operands)
        key = (product.path, product.function, line, *makers)
        known = found.get(key)
        if known is not None:
            found[key] = replace(known, spread=max(known.spread, spread.get(site)))
            continue
        values = [one for one in wiring.producers(weighed) if not _is_behind(wiring, one, site)]
        found[key] = Attention(
            softmax=site,
            path=product.path,
            function=product.function,
            call=_calls_before(recording, site if product.function == FUSED else product),
            softmax_call=_calls_before(recording, site),
            width=width,
            spread=spread.get(site),
            scaled=is_scaled(wiring, site),
            normalised=any(_is_normalised(wiring, one) for one in operands),
            query=makers[0],
            key=makers[-1],
            value=_made_by(wiring, values[0], shapes) if values else "",
        )
    return tuple(found.values())


def _contracted(operands: list[Site]) -> int:
    """Return the width that two factors of a product share."""
    if len(operands) != 2 or any(len(one.shape) < 2 for one in operands):
        return 0
    (_, inner), (outer, _) = operands[0].shape[-2:], operands[1].shape[-2:]
    if inner == outer:
        return inner
    return operands[0].shape[-2] if operands[0].shape[-2] == operands[1].shape[-1] else 0


def _is_behind(wiring: Wiring, site: Site, softmax: Site) -> bool:
    return site.index == softmax.index or any(
        one.index == softmax.index for one in wiring.behind(site)
    )


def _calls_before(recording: Recording, site: Site) -> int:
    """Return how often a function ran before in the forward that calls it."""
    return sum(
        one.index < site.index
        and one.path == site.path
        and one.op == site.op
        and one.function == site.function
        for one in recording.sites
    )


def _is_normalised(wiring: Wiring, operand: Site) -> bool:
    for site in (operand, *wiring.behind(operand)):
        if site.op in NORMS or "norm" in site.op or "rsqrt" in site.op:
            return True
        if site.weights:
            return all("norm" in name.casefold() for name in site.weights)
    return False


def _made_by(wiring: Wiring, operand: Site, shapes: dict[str, tuple[int, ...]]) -> str:
    for site in (operand, *wiring.behind(operand)):
        if site.weights and weight_of(site, shapes):
            return weight_of(site, shapes)
    return ""


class Factor(nn.Module):
    """Multiplies with a constant.

    Args:
        factor: The constant.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Return the input times the constant."""
        return x * self.factor

    def extra_repr(self) -> str:
        """Show the constant."""
        return f"{self.factor:.4g}"


class UnitSize(nn.Module):
    """Divides vectors by their root mean square and, where asked, multiplies with a learnt scale.

    Args:
        width: Entries of a vector.
        dim: The axis along which they lie.
        scale: What the scale starts from; None for no scale.
    """

    def __init__(self, width: int, dim: int, scale: float | None) -> None:
        super().__init__()
        self.width, self.dim = width, dim
        self.scale = nn.Parameter(torch.tensor(scale)) if scale is not None else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise.

        Raises:
            UnvanishError: If these are no vectors of the width that was seen.
        """
        if x.shape[self.dim] != self.width:
            raise UnvanishError(
                f"{x.shape[self.dim]} entries are to be normalised where queries have {self.width}"
            )
        unit = to_unit_size(x, self.dim)
        return unit if self.scale is None else unit * self.scale.to(unit.dtype)

    def extra_repr(self) -> str:
        """Show width and axis."""
        return f"{self.width}, dim={self.dim}"


def to_unit_size(x: Tensor, dim: int = -1) -> Tensor:
    """Divide vectors by their root mean square.

    Args:
        x: The vectors.
        dim: The axis along which their entries lie.
    """
    wide = x if x.dtype == torch.float64 else x.float()
    unit = wide * torch.rsqrt(wide.square().mean(dim, keepdim=True) + _TINY)
    return unit.to(x.dtype)


class NormalisedAttention(nn.MultiheadAttention):
    """Multi-head attention whose queries and keys are normalised, head by head.

    Parameters and state-dict names are those of `torch.nn.MultiheadAttention`, with `query_scale`
    beside them.
    """

    query_scale: nn.Parameter

    @classmethod
    def of(cls, old: nn.MultiheadAttention) -> NormalisedAttention:
        """Return one that computes with the parameters of another.

        Args:
            old: A module of PyTorch's, without added keys.
        """
        new = cls.__new__(cls)
        for name, value in vars(old).items():
            new.__dict__[name] = type(value)(value) if isinstance(value, dict) else value
        new.__dict__.pop("forward", None)
        like = old.out_proj.weight
        new.query_scale = nn.Parameter(torch.ones((), dtype=like.dtype, device=like.device))
        return new

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,  # noqa: ARG002
    ) -> tuple[Tensor, Tensor | None]:
        """Attend, as `torch.nn.MultiheadAttention.forward` does.

        Args:
            query: What asks.
            key: What is asked.
            value: What is answered.
            key_padding_mask: Which keys are left out.
            need_weights: Whether the weights are returned too.
            attn_mask: Which keys a query may not see, or what is added to the scores.
            average_attn_weights: Whether these weights are averaged over the heads.
            is_causal: That the mask is causal; the mask itself is what counts.
        """
        batched = query.dim() == 3
        if not batched:
            query, key, value = (one.unsqueeze(0) for one in (query, key, value))
            if key_padding_mask is not None:
                key_padding_mask = key_padding_mask.unsqueeze(0)
        elif not self.batch_first:
            query, key, value = (one.transpose(0, 1) for one in (query, key, value))
        weights = (
            self.in_proj_weight.chunk(3)
            if self._qkv_same_embed_dim
            else (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        )
        bias = getattr(self, "in_proj_bias", None)
        biases = bias.chunk(3) if bias is not None else (None,) * 3
        q, k, v = (
            functional.linear(x, w, b).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for x, w, b in zip((query, key, value), weights, biases, strict=True)
        )
        q, k = to_unit_size(q) * self.query_scale, to_unit_size(k)
        mask = self._mask(attn_mask, key_padding_mask, q)
        drop = self.dropout if self.training else 0.0
        shares: Tensor | None = None
        if need_weights:
            raw = q @ k.transpose(-2, -1) / self.head_dim**0.5
            shares = (raw if mask is None else raw + mask).softmax(-1)
            out = functional.dropout(shares, drop) @ v
        else:
            out = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=drop)
        out = self.out_proj(out.transpose(1, 2).flatten(2))
        if shares is not None:
            shares = shares.mean(1) if average_attn_weights else shares
            shares = shares if batched else shares.squeeze(0)
        if not batched:
            out = out.squeeze(0)
        elif not self.batch_first:
            out = out.transpose(0, 1)
        return out, shares

    def _mask(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, q: Tensor
    ) -> Tensor | None:
        """Return what is added to the scores, of (batch, heads, queries, keys) or less."""
        mask = _added(attn_mask, q)
        if mask is not None and mask.dim() == 3:
            mask = mask.unflatten(0, (-1, self.num_heads))
        padding = _added(key_padding_mask, q)
        if padding is not None:
            padding = padding[:, None, None, :]
            mask = padding if mask is None else mask + padding
        return mask


def _added(mask: Tensor | None, like: Tensor) -> Tensor | None:
    if mask is None or mask.dtype != torch.bool:
        return None if mask is None else mask.to(like.dtype)
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, float("-inf"))
