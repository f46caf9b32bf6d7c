"""A fresh process at work: ``python -m unvanish.prove.engines.worker``, started by `spawning`.

It reads the pickled experiment and then one job a line, and answers each with one line.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
from typing import Any, BinaryIO

import torch

from unvanish.core.packing import unpacker
from unvanish.core.proofs import Job
from unvanish.prove.engines import wire
from unvanish.prove.engines.running import performed


def main() -> None:
    """Serve until there is no further job."""
    jobs, answers = _private_streams()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    parcel = jobs.read(int.from_bytes(jobs.read(8), "big"))
    experiment, failed = _opened(parcel)
    _say(answers, json.dumps(failed))
    for line in jobs:
        job: Job = unpacker(Job)(json.loads(line))
        _say(answers, wire.written(performed(experiment, job)))


def _say(answers: BinaryIO, line: str) -> None:
    answers.write(line.encode() + b"\n")
    answers.flush()


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Take the two pipes for this conversation; what the user's code prints goes nowhere."""
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    return jobs, answers


def _opened(parcel: bytes) -> tuple[Any, str]:
    """Return the experiment, and why it could not be opened; ``""`` where it could."""
    try:
        return pickle.loads(parcel), ""
    except Exception as error:  # the user's code is run
        text = (str(error).splitlines() or [""])[0][:300]
        return None, f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    main()
