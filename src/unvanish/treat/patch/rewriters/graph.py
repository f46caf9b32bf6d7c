"""Take out of the source what cuts the gradient off, or let the step pass it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Final

from torch import nn

from unvanish.core.places import SourceLine
from unvanish.treat.differentiating import ARGUMENT, GRAD
from unvanish.treat.patch.optimisers import spelt
from unvanish.treat.patch.removal import comment_behind, in_brackets, leave_comment
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work
from unvanish.treat.reattaching import SPOKEN

_SWITCHES: Final = frozenset({"torch.no_grad", "torch.inference_mode"})
_CALLS: Final = frozenset({"detach", "item"})
_QUESTIONS: Final = frozenset("len int bool isinstance min max abs size dim numel".split())
"""Calls in a condition that do nothing but answer."""
_GRAD: Final = "torch.autograd.grad"
_CHECKPOINTS: Final = frozenset(
    {
        "torch.utils.checkpoint.checkpoint",
        "torch.utils.checkpoint.checkpoint_sequential",
        "checkpoint.checkpoint",
    }
)
_CONTAINERS: Final = {
    nn.ModuleList: "torch.nn.ModuleList",
    nn.ModuleDict: "torch.nn.ModuleDict",
    nn.Parameter: "torch.nn.Parameter",
}
_ROUNDING: Final = frozenset({"round", "floor", "ceil", "trunc", "fix", "bernoulli"})
_SIGNS: Final = frozenset({"sign", "sgn"})


def rewrite(work: Work) -> None:
    """Write the change of the graph into the lines that the prescription names.

    Raises:
        NoSafeEditError: If such a line holds nothing that is known.
    """
    _WRITERS[work.prescription.remedy](work)


def _reattach(work: Work) -> None:
    edits = (one for one in work.receipt.edits if one.before == SPOKEN[GRAD])
    derived = {(one.source.file, one.source.line) for one in edits if one.source is not None}
    writers: tuple[Callable[[Source, int], bool], ...]
    for told in str(work.prescription.settings["lines"]).split(", "):
        file, _, number = told.rpartition(":")
        source = work.source(SourceLine(file, int(number)))
        writers = (_redrawn, _undetached, _switched)
        if (file, int(number)) in derived:
            writers = (_derived,)
        if not any(write(source, int(number)) for write in writers):
            raise NoSafeEditError(f"{told} cuts the gradient in a way that cannot be followed")


def _derived(source: Source, line: int) -> bool:
    """Write ``create_graph=True`` into the calls of `torch.autograd.grad` of a line.

    Raises:
        NoSafeEditError: If what a call is given cannot be read off the line.
    """
    calls = [one for one in source.nodes(ast.Call, line) if source.meaning(one.func) == _GRAD]
    for call in calls:
        options = {one.arg: one.value for one in call.keywords}
        if None in options or any(isinstance(one, ast.Starred) for one in call.args):
            raise NoSafeEditError(f"line {line}: what grad is given cannot be read off the call")
        is_placed = len(call.args) > ARGUMENT
        told = call.args[ARGUMENT] if is_placed else options.get("create_graph")
        if told is None:
            last = [*call.args, *options.values()][-1]
            source.insert_after(last, ", create_graph=True")
        elif source.segment(told) != "True":
            source.replace(told, "True")
    return bool(calls)


def _redrawn(source: Source, line: int) -> bool:
    """Write ``.rsample(`` in the place of ``.sample(``.

    Raises:
        NoSafeEditError: If several things are sampled in the line.
    """
    drawn = [
        func
        for call in source.nodes(ast.Call, line)
        if isinstance(func := call.func, ast.Attribute) and func.attr == "sample"
    ]
    if len(drawn) > 1:
        raise NoSafeEditError(f"line {line} holds several calls of sample()")
    for func in drawn:
        source.replace(func, f"{source.segment(func.value)}.rsample")
    return bool(drawn)


def _undetached(source: Source, line: int) -> bool:
    """Take ``.detach()``, ``.item()`` and ``.data`` out of a line.

    What does nothing more once they are gone goes with them: ``h = h.detach()``, and a conditional
    that gives the same either way, as in ``h.detach() if t < last else h``.
    """
    cuts = _cuts(source, line)
    statements: dict[ast.stmt, None] = {}
    for cut in cuts:
        if (statement := source.around(cut, ast.stmt)) is not None:
            statements[statement] = None
    for statement in statements:
        if _is_idle(source, statement, cuts):
            leave_comment(source, statement)
            continue
        for start, end in _removed(source, statement, cuts):
            source.cut(start, end)
    for call in source.nodes(ast.Call, line):
        func = call.func
        if source.meaning(func) == "torch.tensor" and len(call.args) == 1 and not call.keywords:
            listed = isinstance(call.args[0], ast.List | ast.ListComp)
            if listed and any(_is_number(one) for one in ast.walk(call.args[0])):
                source.replace(func, source.spell("torch.stack"))
    return bool(cuts)


def _cuts(source: Source, line: int) -> dict[ast.AST, ast.Attribute]:
    """Return the expressions of a line that cut the gradient, with the name that does it."""
    found: dict[ast.AST, ast.Attribute] = {}
    for call in source.nodes(ast.Call, line):
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr in _CALLS and _is_at(func, line):
            found[call] = func
    for one in source.nodes(ast.Attribute, line):
        if one.attr == "data" and isinstance(one.ctx, ast.Load) and _is_at(one, line):
            found[one] = one
    return found


def _is_at(named: ast.Attribute, line: int) -> bool:
    """Tell whether Python says that an attribute is read in a line: where its name stands."""
    return line in (named.lineno, named.end_lineno)


def _removed(
    source: Source, node: ast.AST, cuts: Mapping[ast.AST, ast.Attribute]
) -> list[tuple[int, int]]:
    """Return the stretches of text that go where a node is to cut no gradient any more.

    Raises:
        NoSafeEditError: If it cannot be told where an expression stands.
    """
    within = [one for child in ast.iter_child_nodes(node) for one in _removed(source, child, cuts)]
    if node in cuts:
        kept = source.span(cuts[node].value)[1]
        dot = source.text.rfind(".", kept, source.span(cuts[node])[1])
        if dot < 0:  # Python 3.11 does not tell where an expression within an f-string stands
            raise NoSafeEditError("what cuts the gradient stands within a text")
        between = source.text[kept:dot]  # the brackets around it, or the end of a line
        start = dot if "#" in between else kept + len(between.rstrip())
        return [*within, (start, source.span(node)[1])]
    if within and isinstance(node, ast.IfExp) and _is_same_either_way(source, node, cuts):
        start, end = source.span(node)
        first, last = source.span(node.orelse)
        return [(start, first), *_removed(source, node.orelse, cuts), (last, end)]
    return within


def _is_same_either_way(
    source: Source, node: ast.IfExp, cuts: Mapping[ast.AST, ast.Attribute]
) -> bool:
    """Tell whether a conditional gives the same either way, and asking does nothing more."""
    for one in ast.walk(node.test):
        if isinstance(one, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
            return False
        if isinstance(one, ast.Call):
            func = one.func
            name = func.attr if isinstance(func, ast.Attribute) else source.meaning(func)
            if name not in _QUESTIONS:
                return False
    return _left(source, node.body, cuts) == _left(source, node.orelse, cuts)


def _is_idle(source: Source, statement: ast.stmt, cuts: Mapping[ast.AST, ast.Attribute]) -> bool:
    """Tell whether a statement does nothing more once nothing in it cuts: ``h = h.detach()``."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return False
    target = statement.targets[0]
    named = target.elts if isinstance(target, ast.Tuple) else [target]
    if not all(isinstance(one, ast.Name | ast.Attribute) for one in named):
        return False
    return _left(source, statement.value, cuts) == _left(source, target, {})


def _left(source: Source, node: ast.expr, cuts: Mapping[ast.AST, ast.Attribute]) -> str:
    """Return what is left of an expression that cuts no gradient any more, without its layout."""
    start, end = source.span(node)
    pieces = []
    for first, last in sorted(_removed(source, node, cuts)):
        pieces.append(source.text[start:first])
        start = last
    text = "".join([*pieces, source.text[start:end]])
    return ast.unparse(ast.parse(f"(\n{text}\n)", mode="eval"))


def _is_number(node: ast.AST) -> bool:
    """Tell whether an expression makes a Python number of a tensor."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "item"
    )


def _switched(source: Source, line: int) -> bool:
    """Take ``with torch.no_grad():`` off the statements of a line, or the decorator off them."""
    for one in source.nodes(ast.With, line):
        if len(one.items) == 1 and _is_switch(source, one.items[0].context_expr):
            _dedent(source, one)
            return True
    called = {
        call.func.attr if isinstance(call.func, ast.Attribute) else source.meaning(call.func)
        for call in source.nodes(ast.Call, line)
    }
    for function in source.nodes(ast.FunctionDef):
        for decorator in function.decorator_list:
            first = decorator.lineno
            is_meant = function.name in called or first <= line <= (function.end_lineno or first)
            if _is_switch(source, decorator) and is_meant:
                start, end = source.span(decorator)
                head = source.text.rindex("@", 0, start)
                comment = comment_behind(source, end)
                stop = source.text.index(comment, end) if comment else _next_line(source, end)
                source.cut(head, stop)
                return True
    return False


def _is_switch(source: Source, node: ast.expr) -> bool:
    return source.meaning(node.func if isinstance(node, ast.Call) else node) in _SWITCHES


def _next_line(source: Source, position: int) -> int:
    """Return where the next statement begins: behind the line's end and its own white space."""
    end = source.text.index("\n", position) + 1
    while source.text[end] in " \t":
        end += 1
    return end


def _dedent(source: Source, block: ast.With) -> None:
    """Take the head of a block off and move its lines one step to the left.

    Raises:
        NoSafeEditError: If text over several lines stands there, which would be moved too.
    """
    for inner in ast.walk(block):
        if isinstance(inner, ast.Constant | ast.JoinedStr) and inner.lineno != inner.end_lineno:
            raise NoSafeEditError(f"line {inner.lineno} holds text over several lines")
    first = block.body[0]
    step = len(source.indent(first)) - len(source.indent(block))
    head, _ = source.span(block)
    body, end = source.span(first)[0], source.span(block.body[-1])[1]
    start = source.text.rfind("\n", 0, body) + 1
    if step <= 0 or start <= head:
        raise NoSafeEditError(f"line {block.lineno} holds a whole block")
    head_line = source.text.rfind("\n", 0, head) + 1
    colon = source.text.index("\n", source.span(block.items[0].context_expr)[1]) + 1
    comment = comment_behind(source, source.span(block.items[0].context_expr)[1])
    if comment:
        source.cut(head, source.text.index(comment, head))
    else:
        source.cut(head_line, colon)
    position = colon
    while 0 < position < end:
        if source.text[position : position + step].strip() == "":
            rest = source.text[position:]
            white = len(rest) - len(rest.lstrip(" \t"))
            if rest[white : white + 1] != "\n":
                source.cut(position, position + step)
        position = source.text.find("\n", position) + 1


def _checkpoint(work: Work) -> None:
    """Write ``use_reentrant=False`` into every checkpoint of the file."""
    file, _, number = str(work.prescription.settings["line"]).rpartition(":")
    if not file:
        raise NoSafeEditError("the line of the checkpoint was not seen")
    source = work.source(SourceLine(file, int(number)))
    calls = [c for c in source.nodes(ast.Call) if source.meaning(c.func) in _CHECKPOINTS]
    for call in calls:
        told = next((one.value for one in call.keywords if one.arg == "use_reentrant"), None)
        if told is not None:
            if source.segment(told) != "False":
                source.replace(told, "False")
            continue
        last = [*call.args, *(one.value for one in call.keywords)][-1]
        source.insert_after(last, ", use_reentrant=False")
    if not calls:
        raise NoSafeEditError(f"{file} calls the checkpoint in a way that cannot be followed")


def _register(work: Work) -> None:
    """Hold layers in a `nn.ModuleList`, tensors in a `nn.Parameter`."""
    if not work.prescription.settings["register"]:
        raise NoSafeEditError("it is the optimiser that has to be given all parameters")
    for place in dict.fromkeys(edit.place for edit in work.receipt.edits):
        if place not in work.prescription.places:
            continue
        path, _, name = place.rpartition(".")
        owner = work.model.get_submodule(path) if path else work.model
        held = getattr(owner, name, None)
        kind = next((text for cls, text in _CONTAINERS.items() if isinstance(held, cls)), "")
        if kind:
            _hold(work, type(owner), name, kind)


def _hold(work: Work, cls: type, name: str, kind: str) -> None:
    """Wrap what a class gives to an attribute.

    Raises:
        NoSafeEditError: If it is given in no line of the class, or in more than one.
    """
    makers = (vars(one)["__init__"] for one in cls.__mro__ if "__init__" in vars(one))
    code = getattr(next(makers, None), "__code__", None)
    if code is None:
        raise NoSafeEditError(f"{cls.__name__} has no __init__ of its own")
    source = work.open(code.co_filename)
    function = next(iter(source.nodes(ast.FunctionDef, code.co_firstlineno)), None)
    found = [
        one.value
        for one in (ast.walk(function) if function is not None else ())
        if isinstance(one, ast.Assign | ast.AnnAssign)
        and one.value is not None
        and any(
            isinstance(t, ast.Attribute) and t.attr == name
            for t in (one.targets if isinstance(one, ast.Assign) else [one.target])
        )
    ]
    if len(found) != 1:
        raise NoSafeEditError(f"{cls.__name__}.{name} is made in {len(found) or 'no'} places")
    given = found[0]
    is_empty = isinstance(given, ast.List) and not given.elts
    container = source.spell(kind)
    if is_empty or (isinstance(given, ast.Dict) and not given.keys):
        source.replace(given, f"{container}()")
    elif isinstance(given, ast.ListComp):
        # A generator in the place of the list: the brackets become those of the call.
        start, end = source.span(given)
        source.replace(given, f"{container}({source.text[start + 1 : end - 1]})")
    else:
        source.insert_after(given, ")")
        source.prefix(given, f"{container}(")


def _straight_through(work: Work) -> None:
    """Write ``x + (step(x) - x).detach()`` for a step."""
    functions = set(str(work.prescription.settings["functions"]).split(", "))
    window = float(work.prescription.settings["window"])
    if not functions <= _ROUNDING | _SIGNS:
        raise NoSafeEditError(
            f"the gradient of {min(functions - _ROUNDING - _SIGNS)} is to lead inside of its "
            "bounds, which takes a function of its own"
        )
    done: set[tuple[str, int]] = set()
    for edit in work.receipt.edits:
        if edit.source is None:
            raise NoSafeEditError("the line of a step was not seen")
        where = (edit.source.file, edit.source.line)
        if where not in done:
            _through(work.source(edit.source), edit.source.line, functions, window)
        done.add(where)


def _through(source: Source, line: int, functions: set[str], window: float) -> None:
    for call in source.nodes(ast.Call, line):
        name = source.meaning(call.func).removeprefix("torch.")
        given: ast.expr
        if name in functions and call.args:
            given = call.args[0]
        elif isinstance(call.func, ast.Attribute) and call.func.attr in functions:
            name, given = call.func.attr, call.func.value
        else:
            continue
        holder = source.parent(call)
        if not isinstance(given, ast.Name | ast.Attribute):
            _through_target(source, call, given, name, window)
            return
        x, step = in_brackets(source, given), source.segment(call)
        passed = x if name in _ROUNDING else _line(x, window)
        text = f"{passed} + ({step} - {passed}).detach()"
        alone = isinstance(holder, ast.Return | ast.Assign)
        in_call = isinstance(holder, ast.Call) and call in holder.args
        source.replace(call, text if alone or in_call else f"({text})")
        return
    raise NoSafeEditError(f"line {line} takes the step in a way that cannot be followed")


def _through_target(
    source: Source, call: ast.Call, given: ast.expr, name: str, window: float
) -> None:
    """Write two statements for ``h = step(f(x))``: the first gives what enters the step a name.

    Raises:
        NoSafeEditError: If the call is not all of an assignment to a name.
    """
    statement = source.parent(call)
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if not isinstance(target, ast.Name) or not isinstance(statement, ast.Assign):
        raise NoSafeEditError(f"line {call.lineno}: what {name} is given has no name")
    step = source.segment(call).replace(source.segment(given), target.id, 1)
    passed = target.id if name in _ROUNDING else _line(target.id, window)
    source.replace(call, source.segment(given))
    source.add_lines(statement, [f"{target.id} = {passed} + ({step} - {passed}).detach()"])


def _line(x: str, window: float) -> str:
    """Return the straight line between the two levels of a sign."""
    edge = spelt(window)
    clamped = f"{x}.clamp(-{edge}, {edge})"
    return clamped if window == 1.0 else f"{clamped} / {edge}"


_WRITERS: Final[dict[str, Callable[[Work], None]]] = {
    "reattach": _reattach,
    "checkpoint-gradient": _checkpoint,
    "train-parameter": _register,
    "straight-through": _straight_through,
}
REMEDIES: Final = frozenset(_WRITERS)
