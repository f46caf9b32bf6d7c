"""`unvanish run`: watch a script while it trains. Everything but our own lines is the script's."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import shlex
import sys
import threading
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import click

from unvanish.cli.guard import TRACEBACK, told
from unvanish.cli.live import LiveLine
from unvanish.cli.screen import Screen, complain
from unvanish.core.errors import UnvanishError
from unvanish.core.findings import Severity
from unvanish.core.stack import display_path
from unvanish.watch.launching import become, rank, torchrun_command, world_size
from unvanish.watch.scripts import Script, called_after_import, forget_our_frames, load, run

if TYPE_CHECKING:
    from unvanish.watch.discovery import Discovery
    from unvanish.watch.observer import Watch

FILE: Final = "unvanish-run.sqlite"
"""Name of the recording where the user gave none."""

_ATTEMPTS: Final = 20

_PATIENCE: Final = 5.0
"""Seconds that the first process waits at its end for those of the same run."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of `unvanish run`, named as on the command line."""

    script: Script
    every: int = 50
    file: Path | None = None
    quiet: bool = False
    nproc: int = 1
    fail_on: str = "never"
    verbose: bool = False
    color: str = "auto"


class Handover(BaseException):
    """Leaves the command line, so that the script runs outside of everything that catches.

    Args:
        options: What is to be run, and how.
    """

    def __init__(self, options: RunOptions) -> None:
        super().__init__()
        self.options = options


def prepare_run(options: RunOptions) -> None:
    """Look whether the run can begin, and hand over to it.

    Args:
        options: What was asked for.

    Raises:
        Handover: Always, where nothing is wrong.
    """
    options.script.check()
    if options.file is not None and rank() == 0:
        _check_new(options.file)
    raise Handover(options)


def take_over(options: RunOptions) -> None:
    """Run the script in this process, or in several new ones, and end as it ends.

    Args:
        options: What was asked for.

    Raises:
        BaseException: Whatever the script ended with; a traceback has been written already.
    """
    if options.nproc > 1:
        become(torchrun_command(_words(options), options.nproc))
    process = os.getpid()
    session = _Session(options)
    error = _ended_with(options.script, session)
    if os.getpid() != process:  # a fork of the script's own came all the way down here
        if error is not None:
            raise error
        return
    code = _told(error)
    session.finish(error)
    if isinstance(error, SystemExit):
        error = None
    if error is not None:
        sys.excepthook = _silent  # Python ends with the right code or signal, and says nothing
        raise error
    if code or session.is_failed:
        sys.exit(code or 1)


def _ended_with(script: Script, session: _Session) -> BaseException | None:
    """Run a script and return what it raised."""
    try:
        with called_after_import("torch", session.begin):
            try:
                code = load(script)
            except UnvanishError as error:
                complain(told(error))
                return SystemExit(error.exit_code)
            run(code)
    except BaseException as error:
        return error
    return None


def _told(error: BaseException | None) -> int:
    """Say what Python would say about what ended the script, and return the exit code."""
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        _traced(error)
        return 1
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    with contextlib.suppress(OSError, ValueError):
        print(error.code, file=sys.stderr)
    return 1


def _traced(error: BaseException) -> None:
    """Write the traceback as Python does, without our own frames."""
    forget_our_frames(error)
    try:
        sys.excepthook(type(error), error, error.__traceback__)
        return
    except Exception as raised:
        failure = raised
    forget_our_frames(failure)
    print("Error in sys.excepthook:", file=sys.stderr)
    sys.__excepthook__(type(failure), failure, failure.__traceback__)
    print("\nOriginal exception was:", file=sys.stderr)
    sys.__excepthook__(type(error), error, error.__traceback__)


def _silent(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    del kind, error, trace


class _Session:
    """The watch of one run, from the import of torch to the diagnosis.

    Args:
        options: What was asked for.
    """

    def __init__(self, options: RunOptions) -> None:
        self.is_failed = False
        self._is_broken = False
        self._options = options
        self._folder = Path.cwd()
        self._is_first = rank() == 0
        self._discovery: Discovery | None = None
        self._watch: Watch | None = None
        self._file: Path | None = None
        self._line = LiveLine(quiet=options.quiet or not self._is_first)

    def begin(self) -> None:
        """Begin to look for models and optimisers; torch has just been imported."""
        state = random.getstate()  # some library draws a number while it is imported
        try:
            from unvanish.watch.discovery import Discovery

            self._discovery = Discovery(self._watching, self._failed)
            self._discovery.start()
        except Exception as error:
            self._failed(error)
        finally:
            random.setstate(state)

    def finish(self, error: BaseException | None) -> None:
        """End the watch and tell the diagnosis, once the script's last thread has ended."""
        others = (each for each in threading.enumerate() if each is not threading.current_thread())
        if error is None and self._options.fail_on == "never" and not all(t.daemon for t in others):
            atexit.register(self._finish, error)
        else:
            self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        self._line.clear()
        try:
            self._conclude(error)
        except KeyboardInterrupt:
            complain("unvanish: interrupted before the diagnosis")
        except Exception as failure:
            self._failed(failure, "there is no diagnosis")

    def _conclude(self, error: BaseException | None) -> None:
        if self._discovery is not None:
            self._discovery.stop()
        if self._watch is None:
            if self._is_first and not self._is_broken:
                complain(f"unvanish: nothing was watched: {self._why_nothing()}")
            return
        is_exit = isinstance(error, SystemExit) and not error.code
        raised = None if is_exit else error
        trace = raised.__traceback__ if raised is not None else None
        self._watch.__exit__(type(raised) if raised is not None else None, raised, trace)
        if not self._is_first:
            if raised is not None and self._file is not None:
                place = display_path(str(self._file))
                step = self._watch.last_step
                complain(f"unvanish: rank {rank()} gave up at step {step}; of all processes:")
                complain(f"    unvanish show {shlex.quote(place)}")
            return
        try:
            if self._file is not None and world_size() > 1:
                from unvanish.watch.ranks import seal

                with contextlib.suppress(UnvanishError, OSError):  # the parts can be shown too
                    seal(self._file, patience=_PATIENCE)
            self._diagnose(self._watch)
        finally:
            if self._file is not None:
                place = display_path(str(self._file))
                complain(f"recording: {place}   (unvanish show {shlex.quote(place)})")

    def _diagnose(self, watch: Watch) -> None:
        screen = Screen.of(sys.stderr, self._options.color)
        text = watch.text(
            width=screen.width,
            color=screen.color,
            ascii=screen.ascii,
            verbose=self._options.verbose,
        )
        _write(f"\n{text}")
        if self._options.fail_on != "never":
            limit = Severity(self._options.fail_on)
            findings = watch.diagnosis.findings
            self.is_failed = any(each.severity.rank >= limit.rank for each in findings)

    def _why_nothing(self) -> str:
        if "torch" not in sys.modules:
            return "the script did not import torch"
        return (
            "no optimiser of torch.optim took a step in this process\n"
            "help: processes that a script starts itself are not seen: start it with\n"
            "    unvanish run --nproc N, or write in the code that trains\n"
            "    with unvanish.observe(model, optimizer): ..."
        )

    def _watching(self) -> Watch:
        """Make the watch; the first optimiser is about to be used."""
        watch = self._made()
        watch.on_sample.append(self._line.show)
        self._watch = watch
        if self._is_first and not self._options.quiet:
            place = display_path(str(self._file)) if self._file is not None else "memory only"
            complain(f"unvanish: watching; recording in {place}")
        return watch

    def _made(self) -> Watch:
        from unvanish.core.runfile import next_free
        from unvanish.watch.observer import observe

        asked: dict[str, Any] = {"every": self._options.every, "target": str(self._options.script)}
        if not self._is_first:
            wanted = self._folder / (self._options.file or FILE)
            for _ in range(_ATTEMPTS):
                with contextlib.suppress(UnvanishError):
                    watch = observe(file=wanted, **asked)
                    self._file = watch.sampler.writer.path
                    return watch
            return observe(**asked)
        if self._options.file is not None:
            self._file = self._folder / self._options.file
            return observe(file=self._file, **asked)
        for _ in range(_ATTEMPTS):  # another run may take the name in the meantime
            self._file = next_free(self._folder / FILE)
            try:
                return observe(file=self._file, **asked)
            except UnvanishError as error:
                if not self._file.exists():
                    complain(f"unvanish: {error.what}; the recording is kept in memory")
                    break
        self._file = None
        return observe(**asked)

    def _failed(self, error: Exception, so: str = "the run goes on unwatched") -> None:
        """Say that the watch failed, which is no matter of the script's."""
        self._is_broken = True
        if not self._is_first:
            return
        what = (
            error.what if isinstance(error, UnvanishError) else f"{type(error).__name__}: {error}"
        )
        complain(f"unvanish: {so}: {what}")
        if os.environ.get(TRACEBACK):
            traceback.print_exception(error)


def _check_new(file: Path) -> None:
    """Say before anything runs that a recording cannot be made.

    Raises:
        UnvanishError: If it is there already, or its folder is not.
    """
    from unvanish.core.runfile import next_free

    if file.exists():
        raise UnvanishError(
            "this file is there already, and a recording never replaces one",
            where=str(file),
            help=f"--file {next_free(file)}",
        )
    if not file.absolute().parent.is_dir():
        raise UnvanishError(
            "there is no folder for the recording",
            where=str(file),
            help=f"mkdir -p {file.parent}",
        )


def _words(options: RunOptions) -> list[str]:
    """Return the command line again, for one of several processes."""
    words = ["--every", str(options.every), "--fail-on", options.fail_on, "--color", options.color]
    if options.file is not None:
        words += ["--file", str(options.file)]
    words += ["--quiet"] * options.quiet + ["--verbose"] * options.verbose
    words += ["-m"] * options.script.is_module
    return [*words, "--", options.script.name, *options.script.arguments]


def _write(text: str) -> None:
    """Write a text with colours to stderr, whatever its encoding can hold."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    with contextlib.suppress(OSError, ValueError):
        click.echo(text.encode(encoding, "replace").decode(encoding), err=True, color=True)
