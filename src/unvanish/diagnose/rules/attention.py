"""UV302: attention that has chosen for good, or has nothing left to choose between."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Role, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.optimiser import floor_of
from unvanish.diagnose.routers import is_frozen, number_of_choices, routers, scores
from unvanish.diagnose.upstream import Upstream
from unvanish.diagnose.wiring import Wiring
from unvanish.diagnose.words import percent
from unvanish.theory.softmax import chance_spread

_FAR: Final = 40
"""Steps upstream of a softmax within which what it attends to has to be found."""


@final
@dataclass(frozen=True, kw_only=True)
class AttentionCollapse:
    """Attention has chosen for good, or has nothing left to choose between.

    ## What it measures
    Every softmax whose rows weigh other signal, in a matrix product or in a product and a sum:
    inside `nn.MultiheadAttention` and `scaled_dot_product_attention`, and written by hand. Rows
    in which the masks leave a single key (causal first rows, padding) do not count.

    Choosing for good. A row p of n keys reacts to its scores with the Jacobian
    diag(p) - p p^T, whose squared norm is S_2 - 2 S_3 + S_2^2 with S_k = sum p^k, and
    1/n - 1/n^2 for an even row. A row with less than a thousandth of the even row's reaction
    is frozen: the gradient to its query and keys has lost 3 decades, the limit of UV101. The
    limit is one half of the rows (`max_frozen_fraction`), in half of the attention layers
    for a warning; nine tenths (`hopeless_frozen_fraction`) are an error.

    Heads that were trained to look at one key freeze as well, but in another way: one score
    stands apart and the rest are alike. Rows freeze by accident when all scores lie far
    apart. For n random scores of standard deviation s the best two differ by s / sqrt(2 ln n)
    on average, and half of the rows freeze from s = ln(2000 n / sqrt(n - 1)) sqrt(2 ln n) /
    ln 2 on: 31 for 16 keys. Half of that has to be reached as well
    (`min_share_of_chance_spread`). Small networks trained to reverse or look up sequences
    had spreads of 3 to 7, with up to 72 % of a layer's rows frozen; scores 30 times too
    large had 300. Nor is anything frozen for good where the probe steps change the spread by
    more than it was: most of what decides is then learned and not drawn.

    Unable to choose. Scores that are divided by far more than sqrt(d), as by a temperature that
    was meant as a factor, leave all keys the same weight and queries and keys the same part of
    their gradient. It is read where the division stands between the product and the softmax,
    and only where the scores of a query lie as little apart, before and after the probe steps.
    The limit is 3 decades again, and 5 (`max_lost_decades_if_rescaled`) under Adam and its kin. A
    lookup among 6 pairs with d = 32 was trained for 1,500 steps each. With momentum at a rate of
    0.1 it was learned at 1.2 decades, and not at 2.2. By Adam at 3e-3 it was learned at 3.2
    decades, by 0.7 at 4.2 and by 0.5 at 5.2; at 1e-3 by 0.7 at 3.2 and by 0.4 from 4.2 on.

    Nothing to choose between. Attention averages, and where tokens lose what tells them
    apart, queries and keys get no gradient. The part of the tokens that they do not have in
    common is followed from attention to attention; the limit is 3 decades lost on the way
    (`max_lost_decades`), an error from 6 (`hopeless_lost_decades`). Where the network gives
    every token an answer of its own, these answers are then all the same. Where it gives one
    for all tokens (a mean over them, a class token, a layer that reads them flattened) and has
    no skip connections, this is a note: what tokens have in common is enough for it. Stacks of
    4 and 8 attention layers without skips, with LayerNorm and without, lost 4.5 decades or
    more; asked for each of 10 random tokens, 500 steps of Adam at 2e-3 taught them 24 to 48 %.
    Asked for the first one alone, from the mean over all, all four knew it after 800. (Of 8
    blocks with LayerNorm and an MLP each, neither was learned.)

    ## Why it hurts
    Values and later layers go on learning from whatever was picked, so that the loss falls
    and every weight has a gradient. Which key is picked stays as it was at the start.

    ## When it stays silent
    On even attention, which is how transformers start: queries and keys still learn, if
    slowly. On softmaxes that choose between weights or experts (see UV303), and on networks
    whose tokens are alike from the first attention on, where the data or a missing position
    code is the reason.

    ## False alarms
    Retrieval with a very small temperature is frozen on purpose. A single frozen layer among
    many is a note.

    ## What helps
    Dividing scores by sqrt(d), normalised queries and keys, smaller query and key weights.
    Against collapsing tokens a skip connection around every attention, with the norm inside
    the branch: `norm_first=True`. Post-norm encoders of `nn.TransformerEncoderLayer` with 64
    features lost 0.7 decades over 12 layers, 1.8 over 24 and 4.3 over 48; 200 steps of Adam at
    1e-3 on counting sequences brought their loss from 4.2 to 0.02, 3.3 and 4.1. With weights
    of standard deviation 0.02 the tokens lost 0.5 decades over 48 layers.

    ## Source
    Zhai and others (2023) on the collapse of attention entropy; Dong, Cordonnier and Loukas
    (2021) on tokens that collapse without skip connections; Xiong and others (2020) on where
    to normalise. The trainings named above were run for this rule, one seed each.
    """

    code: ClassVar[str] = "UV302"
    name: ClassVar[str] = "attention-collapse"
    needs: ClassVar[frozenset[Quantity]] = frozenset(
        {Quantity.FROZEN_FRACTION, Quantity.SCORE_SPREAD}
    )
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["dong2021"],
        SOURCES["xiong2020"],
        SOURCES["zhai2023"],
    )

    max_frozen_fraction: float = 0.5
    hopeless_frozen_fraction: float = 0.9
    min_share_of_chance_spread: float = 0.5
    max_lost_decades: float = 3.0
    max_lost_decades_if_rescaled: float = 5.0
    hopeless_lost_decades: float = 6.0

    def examine(self, recording: Recording) -> Verdict:
        """Judge every attention whose rows were seen."""
        wiring = Wiring(recording)
        frozen, spread = recording[Quantity.FROZEN_FRACTION], recording[Quantity.SCORE_SPREAD]
        between_experts = {site.index for site in routers(wiring)}
        attention = [
            site
            for site in recording.signal_sites()
            if "softmax" in site.op and site.index not in between_experts and wiring.weighs(site)
        ]
        seen = [s for s in attention if frozen.get(s) >= 0.0 and spread.get(s) >= 0.0]
        if not seen:
            choosing = [
                s
                for s in attention
                if (not s.shape or s.shape[-1] > 1)
                and (product := wiring.weighs(s)) is not None
                and wiring.is_mixing(product)
            ]
            if choosing:
                return NotMeasured(f"the rows of {choosing[0].name}")
            return NotApplicable("the network has no attention over several keys")
        by_chance = [
            site
            for site in seen
            if is_frozen(
                recording,
                site,
                share=self.max_frozen_fraction,
                of_chance=self.min_share_of_chance_spread,
            )
        ]
        alike = _decades_alike(wiring, seen)
        found = []
        if by_chance:
            found.append(self._frozen(wiring, by_chance, len(seen)))
        shrunk = {site: lost for site in seen if (lost := _shrunk(wiring, site)) > 0.0}
        limit = self._limit_of_shrinking(recording)
        if max(shrunk.values(), default=0.0) > limit:
            found.append(self._even(wiring, shrunk, limit, len(seen)))
        if max(alike.values(), default=0.0) > self.max_lost_decades:
            found.append(self._alike(wiring, alike))
        if found:
            return Found(tuple(found))
        worst = max(seen, key=lambda s: frozen[s])
        lost = max(alike.values(), default=0.0)
        if frozen[worst] >= 5e-3:
            said = f"at most {percent(frozen[worst])} of an attention's rows are frozen"
        else:
            said = "no row of attention is frozen"
        if lost >= 0.05:
            said += f", and tokens grow alike by {lost:.1f} decades"
        return Clear(self.max_lost_decades - max(0.0, lost), "decades", said)

    def _frozen(self, wiring: Wiring, sites: list[Site], looked_at: int) -> Finding:
        recording = wiring.recording
        shares = recording[Quantity.FROZEN_FRACTION]
        worst = max(sites, key=lambda site: shares[site])
        causes, notes = self._why_far_apart(wiring, worst)
        entropy = recording[Quantity.ATTENTION_ENTROPY].get(worst)
        others = f" ({len(sites)} of {looked_at} attention layers)" if looked_at > 1 else ""
        if 2 * len(sites) < looked_at:
            severity = Severity.NOTE
        else:
            hopeless = shares[worst] > self.hopeless_frozen_fraction
            severity = Severity.ERROR if hopeless else Severity.WARNING
        if not math.isnan(entropy):
            notes.append(
                f"the mean entropy of its rows is {entropy:.2g} of what attending to all keys "
                "alike has"
            )
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=f"attention has chosen for good: {percent(shares[worst])} of the rows of "
            f"{worst.name} no longer react to their scores{others}",
            sites=tuple(sorted(sites, key=lambda site: -shares[site])),
            measured=shares[worst],
            expected=0.0,
            limit=self.max_frozen_fraction,
            unit="fraction of rows",
            causes=causes,
            notes=tuple(notes),
            help=_help(causes),
        )

    def _limit_of_shrinking(self, recording: Recording) -> float:
        """Allow more where every weight moves at the same pace, however small its gradient."""
        rescales = floor_of(recording.context.optimizer) is not None
        return self.max_lost_decades_if_rescaled if rescales else self.max_lost_decades

    def _even(
        self, wiring: Wiring, shrunk: Mapping[Site, float], limit: float, looked_at: int
    ) -> Finding:
        worst = max(shrunk, key=lambda site: shrunk[site])
        sites = [site for site, lost in shrunk.items() if lost > limit]
        spread = wiring.recording[Quantity.SCORE_SPREAD][worst]
        few = 2 * len(sites) < looked_at
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.NOTE if few else Severity.WARNING,
            message=f"attention cannot choose: the scores of {worst.name} are "
            f"{shrunk[worst]:.1f} decades smaller than products of queries and keys over sqrt(d)",
            sites=tuple(sites),
            measured=shrunk[worst],
            expected=0.0,
            limit=limit,
            unit="decades",
            causes=(Cause.INIT_TOO_SMALL,),
            notes=(
                f"the scores of a query lie {spread:.1e} apart, so that all keys weigh the same, "
                "and the probe steps do not change that",
                "the gradient to queries and keys is divided by as much",
            ),
            help=(_HELP_FROZEN[Cause.SOFTMAX_SATURATION],),
        )

    def _why_far_apart(self, wiring: Wiring, site: Site) -> tuple[tuple[Cause, ...], list[str]]:
        """Tell scores that were not scaled down from queries and keys that are too large."""
        spread = wiring.recording[Quantity.SCORE_SPREAD][site]
        limit = chance_spread(number_of_choices(site))
        notes = [
            f"the scores of a query lie {spread:.3g} apart (standard deviation); random scores "
            f"freeze half of the rows from {limit:.0f} on"
        ]
        product = scores(wiring, site)
        sizes = _operand_sizes(wiring, product) if product is not None else []
        if product is None or len(sizes) < 2:
            return (Cause.SOFTMAX_SATURATION,), notes
        usual = sizes[0] * sizes[1]
        notes.append(
            f"queries and keys have rms {sizes[0]:.3g} and {sizes[1]:.3g}: divided by sqrt(d), "
            f"their products would lie about {usual:.2g} apart"
        )
        if usual < self.min_share_of_chance_spread * limit:
            return (Cause.SOFTMAX_SATURATION,), notes
        return (Cause.SOFTMAX_SATURATION, Upstream(wiring.recording).why_large(product)), notes

    def _alike(self, wiring: Wiring, alike: Mapping[Site, float]) -> Finding:
        lost = max(alike.values())
        sites = [site for site, own in alike.items() if own > self.max_lost_decades]
        cause = _why_alike(wiring, list(alike))
        several = [site for site in sites if len(site.shape) < 2 or site.shape[-2] > 1]
        skipless = cause is Cause.DEPTH_WITHOUT_SKIP
        answers = not skipless or _answers_tokens(wiring, (several or sites)[-1])
        if not answers:
            severity = Severity.NOTE
        else:
            hopeless = lost > self.hopeless_lost_decades
            severity = Severity.ERROR if hopeless else Severity.WARNING
        told = f"{lost:.1f} decades" if math.isfinite(lost) else "exactly nothing"
        kept = "shrinks by" if math.isfinite(lost) else "comes down to"
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=f"tokens have become alike at {sites[0].name}: what tells them apart {kept} "
            f"{told} over {len(alike)} attention layers",
            sites=tuple(sites),
            measured=lost,
            expected=0.0,
            limit=self.max_lost_decades,
            unit="decades",
            causes=(cause,),
            notes=(
                "attention averages over tokens; queries and keys of tokens that are all the "
                "same get no gradient",
                *(() if answers else (_ONE_ANSWER,)),
            ),
            help=_HELP_ALIKE[cause],
        )


_ONE_ANSWER: Final = (
    "the network gives one answer for all tokens, which what they have in common may be enough for"
)

_HELP_ALIKE: Final = {
    Cause.DEPTH_WITHOUT_SKIP: ("add a skip connection around attention: x = x + attention(x)",),
    Cause.POST_NORM: (
        "normalise inside the branch: x = x + attention(norm(x)), or "
        "torch.nn.TransformerEncoderLayer(..., norm_first=True)",
        "or start smaller: torch.nn.init.normal_(weight, std=0.02)",
    ),
    Cause.NO_NORMALISATION: (
        "normalise what enters attention: x = x + attention(torch.nn.LayerNorm(features)(x))",
    ),
}

_HELP_FROZEN: Final = {
    Cause.SOFTMAX_SATURATION: "divide the scores by sqrt(d): scores = q @ k.transpose(-2, -1) / "
    "math.sqrt(q.shape[-1])",
    Cause.INIT_TOO_LARGE: "initialise the projections of query and key smaller: "
    "torch.nn.init.xavier_uniform_(layer.weight)",
    Cause.INPUT_SCALE: "scale the input to mean 0 and standard deviation 1 per feature",
    Cause.BIAS: "start the biases of query and key at zero: torch.nn.init.zeros_(layer.bias)",
}


def _help(causes: tuple[Cause, ...]) -> tuple[str, ...]:
    return (
        _HELP_FROZEN[causes[-1]],
        "or normalise queries and keys: torch.nn.functional.normalize(q, dim=-1)",
    )


def _shrunk(wiring: Wiring, softmax: Site) -> float:
    """Return the decades by which scores are divided beyond sqrt(d), and alike for it."""
    product = scores(wiring, softmax)
    recording = wiring.recording
    if product is None or recording.later is None:
        return 0.0
    size = recording[Quantity.ACTIVATION_RMS]
    whole = size.get(product)
    scaled = [
        size.get(site)
        for site in (*wiring.producers(softmax), *wiring.behind(softmax))
        if site.op in {"div", "mul"} and site.index > product.index
    ]
    reached = next((value for value in scaled if 0.0 < value < math.inf), 0.0)
    extents = [n for site in wiring.producers(product) for n in site.shape[-2:]]
    apart = max(r[Quantity.SCORE_SPREAD].get(softmax) for r in (recording, recording.later))
    if not (reached > 0.0 and 0.0 < whole < math.inf and 0.0 < apart < 1.0 and extents):
        return 0.0
    return min(-math.log10(apart), math.log10(whole / reached / math.sqrt(max(extents))))


def _operand_sizes(wiring: Wiring, product: Site) -> list[float]:
    """Return the rms of what a product multiplies, where it can be told."""
    upstream = Upstream(wiring.recording)
    sizes = [_size(wiring, upstream, site) for site in wiring.producers(product)]
    return [size for size in sizes if size > 0.0]


def _size(wiring: Wiring, upstream: Upstream, operand: Site) -> float:
    for site in (operand, *wiring.behind(operand)):
        if (size := upstream.rms(site)) > 0.0:
            return size
        if site.weights:
            fed = max((upstream.rms(one) for one in wiring.producers(site)), default=0.0)
            gain = upstream.gain(site)
            return fed * gain if gain > 0.0 else 0.0
    return 0.0


def _decades_alike(wiring: Wiring, attention: Sequence[Site]) -> dict[Site, float]:
    """Return by how many decades tokens have grown alike where each attention reads them."""
    best = -math.inf
    lost = {}
    for site in attention:
        apart = _deviation(wiring, site)
        if math.isnan(apart):
            continue
        own = math.log10(apart) if apart > 0.0 else -math.inf
        best = max(best, own)
        lost[site] = best - own if best > -math.inf else 0.0
    return lost


def _deviation(wiring: Wiring, softmax: Site) -> float:
    """Read what tokens do not have in common, behind the projections to query and key."""
    profile = wiring.recording[Quantity.TOKEN_DEVIATION]
    level = [(softmax, False)]  # with: whether a projection was passed
    seen: set[tuple[int, bool]] = set()
    for _ in range(_FAR):
        found = [profile[site] for site, passed in level if passed and profile.get(site) >= 0.0]
        if found:
            return max(found)
        above = []
        for site, passed in level:
            for producer in wiring.producers(site):
                one = (producer, passed or bool(site.weights))
                if (producer.index, one[1]) not in seen:
                    seen.add((producer.index, one[1]))
                    above.append(one)
        level = above
    return math.nan


def _answers_tokens(wiring: Wiring, softmax: Site) -> bool:
    """Tell whether the tokens that an attention mixes get an answer each, as far as is known."""
    tokens = softmax.shape[-2] if len(softmax.shape) > 1 else 0
    samples = wiring.recording.context.batch_size
    if tokens < 2 or samples < 1:
        return True
    stack = [softmax]
    seen = {softmax.index}
    while stack:
        site = stack.pop()
        after = wiring.consumers(site)
        if not after:
            return True
        for one in after:
            if one.role is not Role.SIGNAL:
                return True
            chooses = "softmax" in one.op and wiring.weighs(one) is not None
            if one.index in seen or chooses or _is_pooling(one, site, tokens, samples):
                continue
            seen.add(one.index)
            stack.append(one)
    return False


def _is_pooling(site: Site, before: Site, tokens: int, samples: int) -> bool:
    """Tell whether a step turns the tokens of each sample into one: their mean, or one of them."""
    if site.weights or not site.shape or site.size < samples:
        return False
    first, *rest = site.shape
    apart = tokens in rest or first == tokens * samples or (first == tokens != samples)
    merged = len(rest) == 1 and len(before.shape) > 2 and before.shape[0] == first == samples
    return not apart and (merged or site.size * tokens <= before.size)


def _why_alike(wiring: Wiring, attention: Sequence[Site]) -> Cause:
    """Tell a missing skip connection from a norm behind every sum."""
    if len(attention) < 2 or not _has_skip(wiring, attention[-2], attention[-1]):
        return Cause.DEPTH_WITHOUT_SKIP
    sums = [site for site in wiring.joins() if site.op == "add"]
    normed = [
        site
        for site in sums
        if (after := wiring.consumers(site)) and all("norm" in one.op for one in after)
    ]
    return Cause.POST_NORM if 2 * len(normed) > len(sums) else Cause.NO_NORMALISATION


def _has_skip(wiring: Wiring, before: Site, after: Site) -> bool:
    """Tell whether the later attention is reached past the product of the earlier one."""
    sources = {site.index for site in wiring.behind(before)}
    past = wiring.weighs(before)
    return any(site.index in sources for site in wiring.behind(after, past=past))
