"""What is put into attention: a factor, vectors of unit size, multi-head attention with both."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from unvanish.core.errors import UnvanishError

_TINY: Final = 1e-6


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
