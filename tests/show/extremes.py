"""Extreme cases written by hand: very deep, exactly zero, very long, hostile."""

from __future__ import annotations

import math

from tests.show.parts import (
    MEASURED,
    Case,
    context,
    diagnosis,
    others,
    profile,
    sites,
    vanishing,
)

from unvanish.core.findings import Cause
from unvanish.core.places import SourceLine
from unvanish.core.records import Recording
from unvanish.core.verdicts import Found, NotMeasured, Verdict


def very_deep() -> Case:
    """Ten thousand layers, each with the same factor."""
    values = tuple(-0.8519 * (9_999 - i) for i in range(10_000))
    all_sites = sites(10_000)
    linear = tuple(site for site in all_sites if site.op == "linear")
    finding = vanishing(
        profile(values),
        linear[:9_990],
        message="the gradient vanishes: it loses 8,518 decades over 10,000 layers",
        measured=8518.1,
        notes=(),
    )
    what = context(
        parameters=41_600_010, grad_dtype="extended", modules={"Linear": 10_000}, seconds=41.2
    )
    return (
        Recording(sites=all_sites, context=what),
        diagnosis(UV101=Found((finding,)), **others()),
        "deep.py",
    )


def zero_gradient() -> Case:
    """A gradient that is exactly zero below one layer, and one layer that was not seen."""
    values = (*[-math.inf] * 14, -3.2, -3.0, math.nan, -2.8, -2.7)
    linear = tuple(site for site in sites(19) if site.op == "linear")
    chart = profile(values)
    finding = vanishing(
        chart,
        linear[:14],
        message="the gradient is exactly zero at 14 of 19 layers",
        measured=math.inf,
        causes=(Cause.DETACHED_GRAPH,),
        notes=(),
        help=("remove the `.detach()` in line 14",),
    )
    return Recording(context=context()), diagnosis(UV101=Found((finding,))), "model.py:Net"


def beyond_float64() -> Case:
    """A thousand sigmoid layers: 1e-857 at the first one."""
    values = tuple(-0.8578 * (999 - i) for i in range(1_000))
    linear = tuple(site for site in sites(1_000) if site.op == "linear")
    finding = vanishing(
        profile(values),
        linear,
        message="the gradient vanishes: it loses 857 decades over 1,000 layers",
        measured=857.0,
        notes=("float32 reads zero below 1e-45, float64 below 4.9e-324",),
    )
    what = context(grad_dtype="extended", modules={"Linear": 1_000, "Sigmoid": 999})
    return Recording(context=what), diagnosis(UV101=Found((finding,))), "model.py:Net"


def no_source_lines() -> Case:
    """A network typed at an interactive prompt: no line of source anywhere."""
    linear = tuple(s for s in sites(30, source=None, built=None) if s.op == "linear")
    finding = vanishing(profile(MEASURED), linear, causes=(), notes=(), help=())
    return Recording(context=context(versions={})), diagnosis(UV101=Found((finding,))), "<model>"


def long_paths() -> Case:
    """Paths, files and class names far longer than any line."""
    path = "backbone.encoder.transformer_blocks.{}.self_attention.output_projection.dense"
    file = "src/a_company/research/experiments/2026/sequence_models/encoder/attention_block.py"
    where = SourceLine(file, 1042, "forward")
    built = SourceLine(file, 77, "__init__")
    linear = tuple(
        site for site in sites(30, path=path, source=where, built=built) if site.op == "linear"
    )
    finding = vanishing(
        profile(MEASURED, path=path, note="a factor that is very long: 0.245 x 0.576"),
        linear,
        message="the gradient vanishes in " + path.format(0),
        notes=("x" * 200, "见" * 60),
    )
    return (
        Recording(context=context(modules={"OutputProjectionDenseLinear" * 3: 30})),
        diagnosis(UV101=Found((finding,))),
        file + ":build_the_whole_encoder",
    )


def hostile() -> Case:
    """Names that try to be markup, escape codes, direction marks and new lines."""
    path = "[bold red]layer[/]\x1b[31m.{}\u202e"
    where = SourceLine("[link=x]evil[/link]\n.py", 3)
    linear = tuple(s for s in sites(3, path=path, source=where) if s.op == "linear")
    finding = vanishing(
        profile((-9.0, -4.0, 0.0), path=path, note="[red]n\x07[/]"),
        linear,
        message="the name is [bold]bold[/bold] :smile: \x1b]0;title\x07\r",
        notes=("first [dim]line[/dim]\n\x1b[2Jsecond line\u2028third", "lone surrogate \udcff"),
        help=("`[bold]literal[/bold]`",),
    )
    verdicts: dict[str, Verdict] = {
        "UV101": Found((finding,)),
        "UV402": NotMeasured("[blink]because[/blink]\x1b[0m"),
    }
    what = context(inferred=("[i]guess[/i]",), modules={"[b]M[/b]": 3})
    return Recording(context=what), diagnosis(**verdicts), "[u]t\x1b[0m.py"
