"""UV302: attention that has chosen for good, or has nothing left to choose between."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.core.wiring import Wiring
from unvanish.diagnose.constants import SingleWeights, single_weights
from unvanish.diagnose.optimiser import floor_of
from unvanish.diagnose.routers import is_frozen, number_of_choices, routers, scores
from unvanish.diagnose.scores import (
    are_cosines,
    asks_by_weights_alone,
    has_own_temperature,
    is_drawn,
    is_scaled,
    operand_sizes,
    shrunk_by,
)
from unvanish.diagnose.token_trail import answers_tokens, decades_alike, why_alike
from unvanish.diagnose.upstream import Upstream
from unvanish.diagnose.words import percent
from unvanish.theory.softmax import chance_spread, most_of_cosines


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

    Scores that nobody scaled, products over all features or squared distances, are drawn and not
    learned where no more than twice as many rows are frozen as chance freezes, exp(-gap
    sqrt(2 ln n) / s) for the gap ln(2000 n / sqrt(n - 1)). There the limit is a tenth of the rows
    (`max_frozen_fraction_if_drawn`) and the spread at which chance freezes a tenth, 9.3 for 16
    keys. A lookup among 16 pairs with orthogonal projections, trained for 400 steps of Adam at
    1e-3, came to a loss of 0.0007 with d = 64 and scores over sqrt(d), to 0.31 with a spread of
    8.7 (no division), to 1.7 with one of 16 (d = 256) and to 2.1 with one of 65. A temperature
    is taken to be meant, and scores over sqrt(d) of large embeddings keep the limit of half: an
    encoder of two layers with 48 % of the rows of its first one frozen learned its task. Drawn
    scores, scaled by sqrt(d) or not, that are the same for every sample
    (a cosine above 0.99, `min_cosine_of_no_content`) and that the probe steps drive further apart
    are found as well, as where raw positions are added to every feature.

    Unable to choose. Scores that are divided by far more than sqrt(d), as by a temperature that
    was meant as a factor, leave all keys the same weight and queries and keys the same part of
    their gradient. It is read where the division stands between the product and the softmax,
    and only where the scores of a query lie as little apart, before and after the probe steps.
    Scores smaller by a factor c get a gradient smaller by c, and the step that follows moves them
    by c less again. So 3 decades are lost from 1.5 on under SGD; 3 apply where the optimiser is
    not known, and 5 (`max_lost_decades_if_rescaled`) under Adam and its kin. A
    lookup among 6 pairs with d = 32 was trained for 1,500 steps each. With momentum at a rate of
    0.1 it was learned at 1.2 decades, and not at 2.2. By Adam at 3e-3 it was learned at 3.2
    decades, by 0.7 at 4.2 and by 0.5 at 5.2; at 1e-3 by 0.7 at 3.2 and by 0.4 from 4.2 on.

    Cosines as scores lie between -1 and 1, and the best of n keys gets at most
    1 / (1 + (n - 1) e^-2) of the weight: a third of it among 16 keys, 7 % among 96. Below one half
    (`min_largest_weight`, from 9 keys on) all other keys together outweigh the one that is asked
    for. It is found where an input reaches the output by these weights alone. Elsewhere an average
    may be all that is asked. A lookup among n pairs, 4 heads, was trained by Adam at 2e-3 for 700
    steps: with n = 6, 12, 16, 24 and 48 it was right in 94, 71, 65, 48 and 36 % of new cases, and
    in 100 % of all with the cosines times 10. After 2,800 steps it was right in 94, 68, 60, 98 and
    86 %.

    Nothing to choose from. A softmax over an axis of one entry is 1 whatever its score, and the
    parameters that make the scores get exactly no gradient. It is an error where several things
    are added up with these ones and every way to the output leads through their sum, and a note
    where a skip connection leads past it; attention over a single key is silent.

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
    Retrieval with a very small temperature is frozen on purpose, where it freezes half of the
    rows. A single frozen layer among
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
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["dong2021"],
        SOURCES["xiong2020"],
        SOURCES["zhai2023"],
    )

    max_frozen_fraction: float = 0.5
    max_frozen_fraction_if_drawn: float = 0.1
    hopeless_frozen_fraction: float = 0.9
    min_share_of_chance_spread: float = 0.5
    max_lost_decades: float = 3.0
    max_lost_decades_if_rescaled: float = 5.0
    hopeless_lost_decades: float = 6.0
    min_largest_weight: float = 0.5
    min_cosine_of_no_content: float = 0.99

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
        single = single_weights(wiring)
        if single and (not seen or any(one.alone for one in single)):
            return Found((self._single(single),))
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
        by_chance = [site for site in seen if self._is_frozen(wiring, site)]
        alike = decades_alike(wiring, seen)
        found = [self._single(single)] if single else []
        if by_chance:
            found.append(self._frozen(wiring, by_chance, len(seen)))
        shrunk = {site: lost for site in seen if (lost := shrunk_by(wiring, site)) > 0.0}
        limit = self._limit_of_shrinking(recording)
        if max(shrunk.values(), default=0.0) > limit:
            found.append(self._even(wiring, shrunk, limit, len(seen)))
        bounded = [site for site in seen if self.is_bounded(wiring, site)]
        if bounded:
            found.append(self._bounded(bounded))
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

    def _is_frozen(self, wiring: Wiring, site: Site) -> bool:
        """Tell whether a softmax chose for good, by the frozen rows or by scores that were drawn.

        Scores that are scaled by a temperature of their own are sharp on purpose, and where more
        rows are frozen than chance explains they were learned.
        """
        recording = wiring.recording
        if is_frozen(
            recording,
            site,
            share=self.max_frozen_fraction,
            of_chance=self.min_share_of_chance_spread,
        ):
            return True
        if has_own_temperature(wiring, site):
            return False
        drawn = not is_scaled(wiring, site) and self._is_drawn(recording, site)
        return drawn or self._runs_away(wiring, site)

    def _runs_away(self, wiring: Wiring, site: Site) -> bool:
        """Tell whether the probe steps take drawn scores, the same for every sample, further."""
        recording = wiring.recording
        later = recording.later
        product = scores(wiring, site)
        if later is None or product is None:
            return False
        after = next((one for one in later.sites if one.name == site.name), None)
        alike = recording[Quantity.SAMPLE_COSINE].get(product)
        return (
            after is not None
            and after.shape == site.shape
            and alike > self.min_cosine_of_no_content
            and later[Quantity.FROZEN_FRACTION].get(after) > self.max_frozen_fraction
            and self._is_drawn(replace(recording, later=None), site)
            and self._is_drawn(later, after)
        )

    def _is_drawn(self, recording: Recording, site: Site) -> bool:
        """Tell whether random scores freeze some rows, and as many as they would."""
        share = self.max_frozen_fraction_if_drawn
        frozen = is_frozen(recording, site, share=share, of_chance=self._of_chance_if_drawn)
        return frozen and is_drawn(recording, site)

    @property
    def _of_chance_if_drawn(self) -> float:
        """Spread at which chance freezes the share allowed of drawn rows, over that of half."""
        return math.log(2.0) / -math.log(self.max_frozen_fraction_if_drawn)

    def is_bounded(self, wiring: Wiring, site: Site) -> bool:
        """Tell whether no key can ever get much, and a question is heard by the weights alone.

        Args:
            wiring: The op graph.
            site: A softmax that weighs values.
        """
        most = most_of_cosines(number_of_choices(site))
        return (
            most < self.min_largest_weight
            and are_cosines(wiring, site)
            and asks_by_weights_alone(wiring, site)
        )

    def _single(self, single: Sequence[SingleWeights]) -> Finding:
        worst = max(single, key=lambda one: (one.alone, len(one.starved)))
        starved = tuple(dict.fromkeys(name for one in single for name in one.starved))
        many = f"{starved[0]} and {len(starved) - 1} more parameters" if starved[1:] else starved[0]
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.ERROR if worst.alone else Severity.NOTE,
            message=f"{worst.softmax.name} is taken over a single entry, so that all of the "
            f"{worst.weighed} things it weighs weigh 1 and {many} never learn",
            sites=tuple(one.softmax for one in single),
            parameters=starved,
            measured=float(len(starved)),
            expected=0.0,
            limit=0.0,
            unit="parameters",
            causes=(Cause.SOFTMAX_SATURATION,),
            notes=(
                "a softmax over one number is 1 whatever that number is: its derivative is "
                "exactly zero",
                f"its output has the shape {worst.softmax.shape}, and the softmax is over the "
                "axis of one entry",
            ),
            help=("take the softmax over the axis that is added up: scores.softmax(dim=1)",),
        )

    def _bounded(self, sites: list[Site]) -> Finding:
        worst = max(sites, key=number_of_choices)
        choices = number_of_choices(worst)
        most = most_of_cosines(choices)
        return Finding(
            code=self.code,
            name=self.name,
            severity=Severity.WARNING,
            message=f"attention cannot choose: cosines give no key of {worst.name} more than "
            f"{percent(most)} of the weight",
            sites=tuple(sites),
            measured=most,
            expected=1.0,
            limit=self.min_largest_weight,
            unit="fraction of the weight",
            causes=(Cause.SOFTMAX_SATURATION, Cause.INIT_TOO_SMALL),
            notes=(
                f"cosines lie in -1 … 1: one key at 1 and the other {choices - 1} at -1 give a "
                "factor of 7.4 between them, whatever is learned",
                "what is asked reaches the output through these weights alone",
            ),
            help=(
                "multiply the cosines by a learned scale that starts at 10 or more: "
                "scale = torch.nn.Parameter(torch.tensor(10.0))",
            ),
        )

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
            limit=self._limit_of(shares[worst]),
            unit="fraction of rows",
            causes=causes,
            notes=tuple(notes),
            help=_help(causes),
        )

    def _limit_of(self, share: float) -> float:
        """Return the limit that a share of frozen rows is beyond."""
        drawn = self.max_frozen_fraction_if_drawn
        return self.max_frozen_fraction if share > self.max_frozen_fraction else drawn

    def _limit_of_shrinking(self, recording: Recording) -> float:
        """Allow more where every weight moves at the same pace, however small its gradient."""
        optimizer = recording.context.optimizer
        if floor_of(optimizer) is not None:
            return self.max_lost_decades_if_rescaled
        is_plain = optimizer is not None and optimizer.name.casefold() == "sgd"
        return self.max_lost_decades / 2.0 if is_plain else self.max_lost_decades

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
        tenth = limit * self._of_chance_if_drawn
        notes = [
            f"the scores of a query lie {spread:.3g} apart (standard deviation); random scores "
            f"freeze a tenth of the rows from {tenth:.0f} on and half from {limit:.0f} on"
        ]
        product = scores(wiring, site)
        sizes = operand_sizes(wiring, product) if product is not None else []
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
        cause = why_alike(wiring, list(alike))
        several = [site for site in sites if len(site.shape) < 2 or site.shape[-2] > 1]
        skipless = cause is Cause.DEPTH_WITHOUT_SKIP
        answers = not skipless or answers_tokens(wiring, (several or sites)[-1])
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
