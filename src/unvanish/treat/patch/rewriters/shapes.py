"""Write a target in the shape of the output that it is compared with."""

from __future__ import annotations

import ast
from typing import Final

from unvanish.core.verdicts import Found
from unvanish.diagnose.rules.output_loss_pair import OutputLossPair, is_broadcast
from unvanish.treat.patch.removal import in_brackets
from unvanish.treat.patch.source import NoSafeEditError
from unvanish.treat.patch.work import Work

REMEDIES: Final = frozenset({"match-shapes"})


def rewrite(work: Work) -> None:
    """Reshape the target where the line of the loss compares it by a call with two arguments.

    Raises:
        NoSafeEditError: If the line is not the user's, or compares them in another way.
    """
    verdict = OutputLossPair().examine(work.recording)
    findings = verdict.findings if isinstance(verdict, Found) else ()
    found = [one.sites[-1] for one in findings if is_broadcast(one)]
    if len(found) != 1 or found[0].source is None:
        raise NoSafeEditError(f"a column is compared with a row in {len(found) or 'no'} places")
    site = found[0]
    source = work.source(site.source)
    assert site.source is not None
    calls = [
        call
        for call in source.nodes(ast.Call, site.source.line)
        if source.meaning(call.func).rpartition(".")[2] == site.function and len(call.args) > 1
    ]
    if len(calls) != 1:
        raise NoSafeEditError(
            f"{site.source} compares them in a way that is not followed: write "
            "target.reshape(output.shape) there"
        )
    output, target = calls[0].args[:2]
    if not isinstance(output, ast.Name | ast.Attribute):
        raise NoSafeEditError(f"{site.source}: what is compared with the target has no name")
    text = f"{in_brackets(source, target)}.reshape({source.segment(output)}.shape)"
    source.replace(target, text)
