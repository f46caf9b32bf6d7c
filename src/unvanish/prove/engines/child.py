"""A forked process: it starts in milliseconds with everything this process has loaded.

A child takes no part in the terminal or in the signals of its parent, sends its answer through a
pipe and leaves at once, so that nothing of the parent's is flushed, finished or run twice. On
Linux the kernel ends it when its parent is gone.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

import torch
from torch.utils.data import DataLoader

_ABSENT: Final = 10.0
"""Seconds between two looks after which this process must have been stopped itself."""
_HEADER: Final = 8
"""Bytes that say how long the answer is."""
_END_WITH_PARENT: Final = 1
"""PR_SET_PDEATHSIG of Linux."""


@dataclass(slots=True)
class Child:
    """A process that was forked to call one function.

    Attributes:
        pid: Its process id, and that of its process group.
        pipe: Where its answer arrives.
        born: When it was forked, on the monotonic clock.
        received: What has arrived.
    """

    pid: int
    pipe: int
    born: float
    received: bytearray = field(default_factory=bytearray)
    _work: str = ""
    _worked: float = 0.0
    _looked: float = 0.0

    @classmethod
    def fork(cls, work: Callable[[], str]) -> Child:
        """Fork a process that calls a function and sends the text it returns.

        Args:
            work: Called in the child.

        Returns:
            The child; `OSError` where there is no memory or no room for another process.
        """
        reading, writing = os.pipe()
        parent = os.getpid()
        try:
            # Python 3.12 warns of threads that a child does not have. It asks them for nothing.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            raise
        if pid == 0:
            _live(work, writing, parent)
        os.close(writing)
        os.set_blocking(reading, False)
        return cls(pid, reading, time.monotonic())

    def receive(self) -> None:
        """Take what has arrived."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.pipe, 1 << 16):
                self.received += chunk

    @property
    def answer(self) -> str | None:
        """What its function returned; None while that is not complete."""
        end = _HEADER + int.from_bytes(self.received[:_HEADER], "big")
        if len(self.received) < max(end, _HEADER):
            return None
        return self.received[_HEADER:end].decode()

    def exit_code(self) -> int | None:
        """Return its exit code, minus the signal where it was killed; None while it lives."""
        try:
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # somebody else has waited for it
            return -signal.SIGKILL
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def is_idle(self, seconds: float) -> bool:
        """Tell whether it has used no processor for so long; asked for now and then."""
        work, now = _processor_time(self.pid), time.monotonic()
        if not work or work != self._work or now - self._looked > _ABSENT:
            self._work, self._worked = work, now
        self._looked = now
        return now - self._worked > seconds

    def kill(self) -> None:
        """Kill it with all it has started."""
        # As long as nobody has waited for it, its id belongs to nobody else.
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(OSError):
                kill(self.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill it, and leave nothing behind."""
        self.kill()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self.pipe)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back while a process is not in the books."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    came: list[Any] = []
    signal.signal(signal.SIGINT, lambda *event: came.append(event))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(*came[-1])


def _processor_time(pid: int) -> str:
    """Return what a process has used of the processors; empty where that is not said."""
    try:
        return " ".join(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])
    except OSError:
        return ""


def _live(work: Callable[[], str], pipe: int, parent: int) -> NoReturn:
    """Spend the life of a child: work, answer, and leave by the shortest way."""
    code = 1
    try:
        _leave_terminal(parent)
        _leave_workers()
        torch.set_num_threads(1)
        answer = work().encode()
        message = memoryview(len(answer).to_bytes(_HEADER, "big") + answer)
        while message:
            message = message[os.write(pipe, message) :]
        code = 0
    finally:
        os._exit(code)


def _leave_terminal(parent: int) -> None:
    """Cut a child off from the terminal and the signals of its parent, and tie it to its life."""
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    with contextlib.suppress(OSError):  # if memory runs out, it is a run that has to go
        Path("/proc/self/oom_score_adj").write_text("500")
    faulthandler.disable()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    # New objects: another thread may have held the lock of an old one at the fork.
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123


def _leave_workers() -> None:
    """Let a loader whose workers are children of the parent start workers of its own."""
    start, pid = DataLoader.__iter__, os.getpid()
    left: list[Any] = []  # collected, they would end the workers of the parent

    def begin(loader: DataLoader[Any]) -> Any:
        inherited = getattr(loader, "_iterator", None)
        workers = getattr(inherited, "_workers", ())
        if any(getattr(worker, "_parent_pid", pid) != pid for worker in workers):
            left.append(inherited)
            loader._iterator = None
        return start(loader)

    setattr(DataLoader, "__iter__", begin)  # noqa: B010
