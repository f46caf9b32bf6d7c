"""The commands: check, cure, demo, depth, explain, export, fix, jacobian, learn, run and more."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from unvanish import __version__
from unvanish.cli.check import CheckOptions, run_check, shape_of
from unvanish.cli.depth import factors_of
from unvanish.cli.guard import GuardedGroup, settings_of
from unvanish.cli.screen import Screen, emit

_FORMAT = click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What to write on stdout.",
)
_COLOR = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="auto: on a terminal, without NO_COLOR.",
)
_FAIL_ON = click.option(
    "--fail-on",
    type=click.Choice(["note", "warning", "error"]),
    default="warning",
    show_default=True,
    help="Mildest finding that gives exit code 1.",
)
_SELECT = click.option(
    "--select",
    multiple=True,
    metavar="CODES",
    help="Run these rules only: codes, names or beginnings of codes, separated by commas.",
)

_VERBOSE = click.option(
    "-v", "--verbose", is_flag=True, help="Say of every clear rule what it measured."
)

_EXPLAIN = click.option(
    "--explain",
    type=click.Choice(["none", "brief", "full"]),
    default="brief",
    show_default=True,
    help="The ledger, which factor took how many decades: a few lines, or block by block.",
)

_LAYER = click.option(
    "--layer",
    default="",
    metavar="PATH",
    help="Draw the whole ledger of this module, whatever the findings are about.",
)

_SEED = click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Seed of the weights, the batch and everything random.",
)
_DATA = click.option(
    "--data", default="", metavar="SPEC", help="Data in place of the target's own."
)
_JOBS = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Trainings at once; by default one a processor.",
)
_DEVICE = click.option("--device", metavar="D", help="Where to run: cpu, cuda, cuda:1, mps.")
_INPUT_SHAPE = click.option(
    "--input-shape",
    callback=shape_of,
    metavar="3,224,224",
    help="Shape of one sample, for a target without a batch.",
)
_CLASSES = click.option(
    "--classes",
    type=click.IntRange(min=1),
    metavar="10",
    help="Number of classes, for a target without a batch.",
)

_EPILOG = """\b
Exit codes:
  0  clear, or findings below --fail-on only
  1  findings at or above --fail-on
  2  wrong use, or a target that cannot be loaded
  3  could not measure"""


@click.group(
    cls=GuardedGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EPILOG,
)
@click.version_option(__version__, "-V", "--version", message="%(prog)s %(version)s")
def app() -> None:
    """Find where a neural network's gradient dies, and why."""


_CHECK_HELP = """Check the network TARGET and say where its gradient is lost, and why.

\b
TARGET is
  file.py[:name]         a network, a class, a factory or a recipe
  package.module[:name]  the same, by its dotted name
  zoo:NAME               a network of ours, such as zoo:deep_sigmoid

The target's file is imported: code at its top level runs, code under
`if __name__ == "__main__"` does not.

\b
A recipe is a file or a class with any of
  model()  batch()  data()  loss(output, target)  optimizer(model)
  metric(model)  GOAL  HIGHER_IS_BETTER  CLIP_GRAD_NORM  AUTOCAST

What is missing is inferred, and the report says so.
"""


@app.command(help=_CHECK_HELP, short_help="Check a network.", epilog=_EPILOG)
@click.argument("target")
@_FORMAT
@_FAIL_ON
@_SELECT
@_SEED
@_DEVICE
@_INPUT_SHAPE
@_CLASSES
@click.option(
    "--batches",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Batches to look at, where the target has data.",
)
@click.option(
    "--probe-steps",
    type=click.IntRange(min=0),
    default=3,
    show_default=True,
    help="Optimiser steps on a copy before the second look.",
)
@click.option(
    "--autocast",
    type=click.Choice(["bfloat16", "float16"]),
    help="Run under autocast of this type.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Save what was measured; `unvanish show FILE` opens it.",
)
@_EXPLAIN
@_LAYER
@click.option(
    "--remedies",
    type=click.Choice(["none", "brief", "full"]),
    default="brief",
    show_default=True,
    help="Try remedies on a copy where something is wrong: a few of every kind, or all that fit.",
)
@_VERBOSE
@_COLOR
@click.pass_context
def check(ctx: click.Context, /, format_: str, color: str, **options: Any) -> None:
    """Check the network TARGET and say where its gradient is lost, and why."""
    settings_of(ctx).as_json = format_ == "json"
    screen = Screen.of(sys.stdout, color)
    ctx.exit(run_check(CheckOptions(**options), screen, as_json=format_ == "json"))


@app.command(short_help="Cure a network of ours that does not learn.")
@_FORMAT
@_COLOR
@click.pass_context
def demo(ctx: click.Context, format_: str, color: str) -> None:
    """Cure a network of ours that does not learn: 30 sigmoid layers on real digits.

    It takes about a minute on two processors. Nothing is downloaded.
    """
    from unvanish.cli.cure import CureOptions, run_cure

    settings_of(ctx).as_json = format_ == "json"
    target = "zoo:deep_sigmoid"
    click.echo(
        "unvanish demo: 30 sigmoid layers on scikit-learn's handwritten digits; "
        f"same as: unvanish cure {target}",
        err=True,
    )
    screen = Screen.of(sys.stdout, color)
    ctx.exit(run_cure(CureOptions(target=target), screen, as_json=format_ == "json"))


@app.command(short_help="Explain a rule or a remedy; without NAME, list all rules.")
@click.argument("name", required=False)
@_COLOR
def explain(name: str | None, color: str) -> None:
    """Explain the rule or remedy NAME, such as UV101, vanishing-gradient or he.

    Without NAME, list all rules; `unvanish explain remedies` lists all remedies.
    """
    from unvanish.cli.explain import explanation

    emit(explanation(name, Screen.of(sys.stdout, color)))


@app.command(
    short_help="Run a lesson; without NAME, list them all.",
    context_settings={"ignore_unknown_options": True},
    options_metavar="[NAME] [--SETTING VALUE]... [OPTIONS]",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="")
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Draw the plots into a file, too: .png, .svg or .pdf; needs matplotlib.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="What to write on stdout.",
)
@_COLOR
@click.pass_context
def learn(
    ctx: click.Context, /, words: tuple[str, ...], plot: Path | None, format_: str, color: str
) -> None:
    """Run the lesson NAME: its claim, why, an experiment of some seconds, and what it showed.

    Without NAME, list all lessons in reading order. Every lesson names the settings that can be
    changed, such as `--depth 50 --activation tanh --init he --seed 3`; its claim is judged anew.
    `unvanish learn glossary` says what every measured quantity means.
    """
    from unvanish.cli.learn import learnt

    settings_of(ctx).as_json = format_ == "json"
    emit(learnt(words, Screen.of(sys.stdout, color), format_=format_, plot=plot))


@app.command(short_help="Show a saved report.", epilog=_EPILOG)
@click.argument("file", type=click.Path(path_type=Path))
@_FORMAT
@_FAIL_ON
@_SELECT
@_EXPLAIN
@_LAYER
@_VERBOSE
@_COLOR
@click.pass_context
def show(
    ctx: click.Context,
    file: Path,
    format_: str,
    fail_on: str,
    select: tuple[str, ...],
    explain: str,
    layer: str,
    verbose: bool,
    color: str,
) -> None:
    """Show the report that `unvanish check` or `cure` saved in FILE with --output. No torch.

    FILE may also be the recording of a run that `unvanish run` or `unvanish.observe` watches, or
    has watched.
    """
    from unvanish.cli.check import print_report, words
    from unvanish.cli.cure import show_cure
    from unvanish.cli.export import show_run
    from unvanish.core.reports import holds_cure
    from unvanish.core.runfile import is_run

    settings_of(ctx).as_json = format_ == "json"
    if is_run(file):
        if select or layer:
            raise click.UsageError("--select and --layer go with the report of a check")
        screen = Screen.of(sys.stdout, color)
        as_json = format_ == "json"
        ctx.exit(show_run(file, screen, fail_on=fail_on, as_json=as_json, verbose=verbose))
    if holds_cure(file):
        if select or layer:
            raise click.UsageError("--select and --layer go with the report of a check")
        screen = Screen.of(sys.stdout, color)
        ctx.exit(show_cure(file, screen, as_json=format_ == "json", verbose=verbose))
    from unvanish.api import Report

    report = Report.load(file, select=words(select))
    screen = Screen.of(sys.stdout, color)
    ctx.exit(
        print_report(
            report,
            screen,
            fail_on=fail_on,
            as_json=format_ == "json",
            explain=explain,
            layer=layer,
            verbose=verbose,
        )
    )


_EXPORT_HELP = """Hand the recording RUN of a training run on to other tools.

\b
NAME is
  csv            a table, one number a row
  jsonl          lines of JSON: conditions, layers, numbers, events
  mlflow         a run of MLflow, in a database or on a tracking server
  opentelemetry  OTLP metrics in JSON, for an OpenTelemetry collector
  parquet        the same table for pandas, Polars, DuckDB
  prometheus     the last value of everything, for Prometheus' textfile collector
  tensorboard    scalars of TensorBoard
  trackio        a local run of Trackio
  wandb          an offline run of Weights & Biases

A run that still goes on is handed on as far as it is.
"""


@app.command(help=_EXPORT_HELP, short_help="Hand the recording of a run on to other tools.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--to", required=True, metavar="NAME", help="Where to, out of the list above.")
@click.option(
    "--output",
    default="",
    metavar="PATH",
    help="File, folder or address; by default after RUN, in this folder. - writes text to stdout.",
)
def export(run: Path, to: str, output: str) -> None:
    """Hand the recording RUN of a training run on to other tools."""
    from unvanish.cli.export import run_export

    run_export(run, to=to, output=output)


@app.command(short_help="List our sick and healthy networks, or show one.")
@click.argument("name", required=False)
@click.option("--train", is_flag=True, help="Train it for its budget: as it is, and cured.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Seed of the training.",
)
@_FORMAT
@_COLOR
@click.pass_context
def zoo(
    ctx: click.Context, /, name: str | None, train: bool, seed: int, format_: str, color: str
) -> None:
    """Show the patient NAME of the zoo: what it is, what is wrong with it, and what cures it.

    Without NAME, list all patients. `unvanish check zoo:NAME` examines one.
    """
    from unvanish.cli.zoo import zoo_list, zoo_page

    settings_of(ctx).as_json = format_ == "json"
    screen = Screen.of(sys.stdout, color)
    as_json = format_ == "json"
    if name is None:
        if train:
            raise click.UsageError("--train needs the NAME of a patient: unvanish zoo NAME --train")
        emit(zoo_list(screen, as_json=as_json))
    else:
        emit(zoo_page(name, screen, trial=train, seed=seed, as_json=as_json))


@app.command(short_help="Print what theory predicts for an activation, or for all.")
@click.argument("activation", required=False)
@click.option("--init", metavar="NAME", help="Only this initialisation, such as he or xavier.")
@click.option(
    "--depth",
    type=click.IntRange(1, 100_000),
    default=30,
    show_default=True,
    help="Layers over which the gradient is followed.",
)
@click.option(
    "--width",
    type=click.IntRange(min=1),
    default=256,
    show_default=True,
    help="Units of a layer.",
)
@click.option(
    "--map",
    "as_map",
    is_flag=True,
    help="Draw what is left of the gradient over depth and the scale of the weights.",
)
@click.option(
    "--activation",
    "others",
    multiple=True,
    metavar="NAME",
    help="With --map: only these activations; may be repeated.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "json", "svg"]),
    default="text",
    show_default=True,
    help="What to write; svg with --map.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="With --map: where to write it instead of stdout.",
)
@_COLOR
@click.pass_context
def theory(
    ctx: click.Context,
    /,
    activation: str | None,
    init: str | None,
    depth: int,
    width: int,
    as_map: bool,
    others: tuple[str, ...],
    format_: str,
    output: Path | None,
    color: str,
) -> None:
    """Print what mean-field theory predicts for ACTIVATION under every initialisation.

    Without ACTIVATION, print the table of all activations and initialisations; with --map,
    draw depth by weight scale.
    """
    from unvanish.cli.theory import theory_map, theory_page, theory_picture

    as_json = format_ == "json"
    settings_of(ctx).as_json = as_json
    screen = Screen.of(sys.stdout, color)
    if as_map:
        if init is not None:
            raise click.UsageError("--map shows all weight scales: leave --init out")
        names = [*([activation] if activation else []), *others]
        emit(theory_picture(names, depth, width, screen, format_=format_, output=output))
        return
    if others or output is not None or format_ == "svg":
        raise click.UsageError("--activation, --output and --format svg go with --map")
    if activation is None:
        if init is not None:
            raise click.UsageError("--init needs an ACTIVATION: unvanish theory tanh --init he")
        emit(theory_map(depth, width, screen, as_json=as_json))
    else:
        emit(theory_page(activation, init, depth, width, screen, as_json=as_json))


@app.command(short_help="Estimate size and spread of a network's Jacobian.")
@click.argument("target")
@click.option("--start", default="", metavar="MODULE", help="Differentiate by its output.")
@click.option("--end", default="", metavar="MODULE", help="Differentiate its output.")
@click.option(
    "--probes",
    type=click.IntRange(2),
    default=16,
    show_default=True,
    help="Random directions.",
)
@click.option(
    "--top",
    type=click.IntRange(0),
    default=4,
    show_default=True,
    help="How many of the largest singular values.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Seed of the weights, the batch and the directions.",
)
@_DEVICE
@_INPUT_SHAPE
@_CLASSES
@_FORMAT
@_COLOR
@click.pass_context
def jacobian(ctx: click.Context, /, format_: str, color: str, **options: Any) -> None:
    """Estimate how the network TARGET stretches and shrinks: its Jacobian, never written out.

    By default from the input to the output. TARGET is as for `unvanish check`.
    """
    from unvanish.cli.jacobian import JacobianOptions, run_jacobian

    settings_of(ctx).as_json = format_ == "json"
    screen = Screen.of(sys.stdout, color)
    run_jacobian(JacobianOptions(**options), screen, as_json=format_ == "json")


_DEPTH_HELP = """Train the network TARGET beside shallower or deeper ones of its kind.

Its repeated blocks are found, some of them taken away or further ones added, and every depth is
trained alike: the same batches, seeds, steps and learning rate. What is compared is the training
loss. A network that ends at a higher one than a part of itself is too deep to train as it is.

TARGET is as for `unvanish check`; it needs data, its own or --data as for `unvanish cure`.
"""

_DEPTH_EPILOG = """\b
Exit codes:
  0  deeper is better, or makes no difference
  1  deeper is worse
  2  wrong use, or a target that cannot be loaded
  3  not decided, or could not be tried"""


@app.command(
    help=_DEPTH_HELP, short_help="Tell whether a network is too deep.", epilog=_DEPTH_EPILOG
)
@click.argument("target")
@click.option(
    "--factors",
    callback=factors_of,
    default="0.25,0.5",
    show_default=True,
    metavar="0.25,0.5",
    help="What the number of blocks is multiplied by.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Optimiser steps of every run.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Runs of every depth; below 3 nothing is concluded.",
)
@_DATA
@click.option(
    "--engine",
    default="local",
    show_default=True,
    metavar="NAME",
    help="What runs the trainings, as for `unvanish cure`.",
)
@_JOBS
@_SEED
@_DEVICE
@_INPUT_SHAPE
@_CLASSES
@_FORMAT
@_COLOR
@click.pass_context
def depth(ctx: click.Context, /, format_: str, color: str, **options: Any) -> None:
    """Train the network TARGET beside shallower or deeper ones of its kind."""
    from unvanish.cli.depth import DepthOptions, run_depth

    settings_of(ctx).as_json = format_ == "json"
    screen = Screen.of(sys.stdout, color)
    ctx.exit(run_depth(DepthOptions(**options), screen, as_json=format_ == "json"))


_FIX_HELP = """Choose a remedy for the network TARGET, and show the edit of its source.

Every remedy that fits is tried on a copy, before any training. The least change that cures is
chosen, unless --remedy names one, or several, to be combined.

Nothing is written without --write. A copy of every written file is kept beside it, and the
written network is checked again. TARGET is as for `unvanish check`.
"""


@app.command(help=_FIX_HELP, short_help="Repair a network in its source.", epilog=_EPILOG)
@click.argument("target")
@click.option(
    "--remedy",
    multiple=True,
    metavar="NAME",
    help="Use this remedy; may be repeated. `unvanish explain remedies` lists them.",
)
@click.option("--write", is_flag=True, help="Write the edit.")
@click.option(
    "--keep-architecture",
    is_flag=True,
    help="Leave out remedies that change activations, normalisation or paths.",
)
@_SEED
@_DEVICE
@_INPUT_SHAPE
@_CLASSES
@click.option("-v", "--verbose", is_flag=True, help="Tell everything that was tried and changed.")
@_FORMAT
@_COLOR
@click.pass_context
def fix(ctx: click.Context, /, format_: str, color: str, **options: Any) -> None:
    """Choose a remedy for the network TARGET, and show the edit of its source."""
    from unvanish.cli.fix import FixOptions, run_fix

    settings_of(ctx).as_json = format_ == "json"
    screen = Screen.of(sys.stdout, color)
    ctx.exit(run_fix(FixOptions(**options), screen, as_json=format_ == "json"))


_CURE_HELP = """Find what ails the network TARGET, try what may cure it, and prove what does.

The network is checked. What may help is tried on a copy, then trained beside the network as it
is: the same data, the same seeds, several learning rates for both. What is best on the part to
choose by is proven on other seeds and on samples that no training has seen.

TARGET is as for `unvanish check`; it needs data, its own or --data. A report that --output saved
is a TARGET, too: its edit is written or saved without another trial.

\b
--data is
  digits            handwritten digits, 8 x 8, that ship with scikit-learn
  csv:FILE          a table; the target is the column label, target or y, else the last
  npz:FILE          arrays x and y, or two of any name
  mnist-idx:FOLDER  images and labels in the format of MNIST
  module:function   batches, or a data set, from a function of yours
"""

_CURE_EPILOG = """\b
Exit codes:
  0    healthy, cured or improved
  1    no effect, harmed or inconclusive
  2    wrong use, or a target that cannot be loaded
  3    could not be tried
  130  interrupted; what is known so far is told"""


@app.command(help=_CURE_HELP, short_help="Repair a network, and prove it.", epilog=_CURE_EPILOG)
@click.argument("target")
@_DATA
@click.option(
    "--budget",
    default="",
    metavar="60s|500steps",
    help="Time for the whole trial, or steps for every run; without it, by the network's speed.",
)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Pairs of runs that the proof rests on; below 3 no treatment is concluded on.",
)
@click.option(
    "--remedy",
    multiple=True,
    metavar="NAME",
    help="Try this remedy only; may be repeated to combine. `unvanish explain remedies` lists "
    "them.",
)
@click.option(
    "--keep-architecture",
    is_flag=True,
    help="Leave out remedies that change activations, normalisation or paths.",
)
@click.option(
    "--engine",
    default="local",
    show_default=True,
    metavar="NAME",
    help="What runs the trainings: local, inline (this process), ray, or ray://HOST:PORT.",
)
@_JOBS
@click.option("--write", is_flag=True, help="Write the edit, with a copy of what was there.")
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Save a module that builds the cured network, the edit, and the report.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Save the report; `unvanish show FILE` opens it.",
)
@click.option(
    "--no-resume", is_flag=True, help="Do not use what an interrupted trial had finished."
)
@_SEED
@_DEVICE
@_INPUT_SHAPE
@_CLASSES
@click.option(
    "-v", "--verbose", is_flag=True, help="Tell everything that was tried, compared and held fixed."
)
@_FORMAT
@_COLOR
@click.pass_context
def cure(ctx: click.Context, /, format_: str, color: str, **options: Any) -> None:
    """Find what ails the network TARGET, try what may cure it, and prove what does."""
    from unvanish.cli.cure import CureOptions, run_cure

    settings_of(ctx).as_json = format_ == "json"
    screen = Screen.of(sys.stdout, color)
    ctx.exit(run_cure(CureOptions(**options), screen, as_json=format_ == "json"))


_RUN_HELP = """Run the training script SCRIPT as Python would, and watch it.

Models and optimisers are found as the script uses them. What it measures goes into a recording,
and the run ends with a diagnosis. Arguments, stdout, exit code and signals are the script's own;
ours goes to stderr. The options of `unvanish run` stand before SCRIPT.

SCRIPT is a file, or with -m the dotted name of a module.
"""

_RUN_EPILOG = """\b
Exit codes:
  the script's own; 1 where it ends with 0 and there are findings at or above --fail-on
  2  wrong use, or there is no such script"""


@app.command(
    help=_RUN_HELP,
    short_help="Watch a training script.",
    epilog=_RUN_EPILOG,
    context_settings={"allow_interspersed_args": False},
)
@click.option("-m", "is_module", is_flag=True, help="SCRIPT is a module, as for `python -m`.")
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    metavar="N",
    help="Sample every N-th step, after the first few.",
)
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="RUN",
    help="Where to record; by default unvanish-run.sqlite, or the next free name.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing before the diagnosis.")
@click.option(
    "--nproc",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Start N processes, as torchrun does.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["never", "note", "warning", "error"]),
    default="never",
    show_default=True,
    help="Mildest finding that gives exit code 1.",
)
@_VERBOSE
@_COLOR
@click.argument("script")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(script: str, arguments: tuple[str, ...], is_module: bool, **options: Any) -> None:
    """Run the training script SCRIPT as Python would, and watch it."""
    from unvanish.cli.run import RunOptions, prepare_run
    from unvanish.watch.scripts import Script

    what = Script(name=script, arguments=arguments, is_module=is_module)
    prepare_run(RunOptions(script=what, **options))
