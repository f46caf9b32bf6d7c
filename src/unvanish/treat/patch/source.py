"""One file of the user's: calls by line, names by what they mean, edits by splicing.

Python's own syntax tree tells where an expression begins and ends. New text is spliced in there
and every other character stays as it was, comments and formatting included.
"""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeVar

from unvanish.core.patches import FileEdit
from unvanish.core.stack import Owner, display_path, owner_of
from unvanish.treat.patch.encodings import decoded
from unvanish.treat.patch.names import Names

_INDENT: Final = re.compile(r"(?m)^(\t*)((?: {4})+)")

Node = TypeVar("Node", bound=ast.AST)


class NoSafeEditError(Exception):
    """This source cannot be edited safely; the message says why."""


@dataclass(frozen=True, slots=True)
class _Splice:
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Tail:
    """Statements between what a function makes and its return of it."""

    network: str
    lines: list[str]


@dataclass(eq=False)
class Source:
    """A file that is being edited.

    Attributes:
        path: Where it is.
        text: What it holds.
        given: Names that edits have given to attributes.
    """

    path: Path
    text: str
    given: set[str] = field(default_factory=set)
    _splices: dict[_Splice, None] = field(default_factory=dict)
    _tails: dict[ast.Return, _Tail] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            self.tree = ast.parse(self.text)
        except SyntaxError as error:
            raise NoSafeEditError(f"{display_path(str(self.path))} cannot be parsed") from error
        self._lines = [0]
        self._bytes = list(io.StringIO(self.text, newline=""))  # a form feed ends no line
        for line in self._bytes:
            self._lines.append(self._lines[-1] + len(line))
        self._parents = {
            child: parent
            for parent in ast.walk(self.tree)
            for child in ast.iter_child_nodes(parent)
        }
        self.names = Names(self.tree)

    @classmethod
    def of(cls, file: str) -> Source:
        """Open a file that is the user's to edit.

        Raises:
            NoSafeEditError: If it is a library's, ours, or not there.
        """
        owner = owner_of(file)
        if owner is not Owner.USER:
            raise NoSafeEditError(f"{display_path(file)} belongs to an installed library")
        path = Path(file)
        try:
            return cls(path, decoded(path))
        except (OSError, SyntaxError, UnicodeDecodeError) as error:
            raise NoSafeEditError(f"{display_path(file)} cannot be read") from error

    # ------------------------------------------------------------------ finding

    def nodes(self, kind: type[Node], line: int | None = None) -> list[Node]:
        """Return the nodes of a kind, those that begin on a line first, then those around it.

        Args:
            kind: Such as `ast.Call`.
            line: Line that they touch; None for all of the file, in its order.
        """
        found = [node for node in ast.walk(self.tree) if isinstance(node, kind)]
        if line is None:
            return sorted(found, key=lambda n: (n.lineno, n.col_offset))  # type: ignore[attr-defined]
        touched = [n for n in found if n.lineno <= line <= (n.end_lineno or n.lineno)]  # type: ignore[attr-defined]
        return sorted(
            touched,
            key=lambda n: (n.lineno != line, (n.end_lineno or 0) - n.lineno, n.col_offset),  # type: ignore[attr-defined]
        )

    def meaning(self, node: ast.AST) -> str:
        """Return the dotted name an expression stands for, imports resolved; else ``""``."""
        return self.names.meaning(node)

    def parent(self, node: ast.AST) -> ast.AST | None:
        """Return the node that holds a node."""
        return self._parents.get(node)

    def around(self, node: ast.AST, kind: type[Node]) -> Node | None:
        """Return the nearest node of a kind that holds a node."""
        above = self._parents.get(node)
        while above is not None and not isinstance(above, kind):
            above = self._parents.get(above)
        return above

    def segment(self, node: ast.AST) -> str:
        """Return the text of a node."""
        start, end = self.span(node)
        return self.text[start:end]

    def indent(self, node: ast.AST) -> str:
        """Return the white space in front of a statement."""
        line = self.text[self._lines[node.lineno - 1] :]  # type: ignore[attr-defined]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def begins_line(self, node: ast.AST) -> bool:
        """Tell whether only white space stands before a node in its line."""
        start, _ = self.span(node)
        return not self.text[self.text.rfind("\n", 0, start) + 1 : start].strip()

    def spell(self, dotted: str) -> str:
        """Write a dotted name of torch's in the file's own style; import it where it must be."""
        return self.names.spell(dotted)

    # ------------------------------------------------------------------ editing

    def replace(self, node: ast.AST, text: str) -> None:
        """Put other text in the place of an expression or a statement."""
        start, end = self.span(node)
        self._add(_Splice(start, end, text))

    def replace_between(self, first: ast.AST, last: ast.AST, text: str) -> None:
        """Put other text in the place of two expressions and what stands between them.

        Args:
            first: Where it begins.
            last: Where it ends.
            text: With ``{text}`` for what stood there.
        """
        start, end = self.span(first)[0], self.span(last)[1]
        self._add(_Splice(start, end, text.replace("{text}", self.text[start:end])))

    def add_class(self, text: str) -> None:
        """Put a class behind the imports at the head of the file."""
        at = self._behind_imports()
        self._add(_Splice(at, at, f"\n\n{text}"))

    def insert_before(self, node: ast.AST, text: str) -> None:
        """Put text directly before an expression; before one that begins its line, on its own."""
        start, _ = self.span(node)
        line = self.text.rfind("\n", 0, start) + 1
        space = self.text[line:start]
        own = f"\n{space}" if not space.strip() else " "
        self._add(_Splice(start, start, text + own))

    def prefix(self, node: ast.AST, text: str) -> None:
        """Put text directly before an expression."""
        start, _ = self.span(node)
        self._add(_Splice(start, start, text))

    def insert_after(self, node: ast.AST, text: str) -> None:
        """Put text directly behind an expression."""
        _, end = self.span(node)
        self._add(_Splice(end, end, text))

    def set_keyword(self, call: ast.Call, keyword: str, value: str, *, also: str = "") -> None:
        """Give a call a keyword, in the place of its own where it has it.

        Args:
            call: The call.
            keyword: The keyword.
            value: What it is given, as code.
            also: What is written behind it where it is new.

        Raises:
            NoSafeEditError: If the call takes its options from elsewhere.
        """
        for one in call.keywords:
            if one.arg == keyword:
                self.replace(one.value, value)
                return
        if any(one.arg is None for one in call.keywords):
            raise NoSafeEditError(f"line {call.lineno} takes its options from elsewhere")
        given = [*call.args, *(one.value for one in call.keywords)]
        if given:
            self.insert_after(given[-1], f", {keyword}={value}{also}")
        else:
            self.replace(call, f"{self.segment(call.func)}({keyword}={value}{also})")

    def add_lines(self, after: ast.stmt, lines: Sequence[str]) -> None:
        """Put statements behind a statement, with its indentation."""
        end = self._lines[after.end_lineno or after.lineno]
        gap = "" if self.text[:end].endswith("\n") else "\n"
        indent = self.indent(after)
        body = "".join(f"{indent}{line}\n" if line else "\n" for line in lines)
        self._add(_Splice(end, end, gap + body))

    def add_before(
        self, statement: ast.stmt, lines: Sequence[str], *, above_comments: bool = False
    ) -> None:
        """Put statements before a statement, with its indentation.

        Args:
            statement: What they are put before.
            lines: The statements.
            above_comments: Whether lines of comment directly before it stay with it.
        """
        first = min(
            [statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", ()))]
        )
        while above_comments and self._bytes[first - 2].lstrip().startswith("#"):
            first -= 1
        start, indent = self._lines[first - 1], self.indent(statement)
        body = "".join(f"{indent}{line}\n" if line else "\n" for line in lines)
        self._add(_Splice(start, start, body))

    def add_tail(self, last: ast.Return, name: str, lines: Sequence[str]) -> None:
        """Put statements before a return, once what it returns has a name.

        Args:
            last: The return statement.
            name: What it returns is called, or is to be called.
            lines: The statements; they are written when the file is, behind those before them.
        """
        self._tails.setdefault(last, _Tail(name, [])).lines.extend(lines)

    def cut(self, start: int, end: int) -> None:
        """Take out what stands between two positions of the text."""
        self._add(_Splice(start, end, ""))

    @property
    def is_changed(self) -> bool:
        """Whether anything was edited."""
        return bool(self._splices or self._tails)

    def edited(self) -> list[ast.stmt]:
        """Return the statements at the head of the file in which something was edited."""
        return [one for one in self.tree.body if self.is_edited(one)]

    def is_edited(self, node: ast.AST) -> bool:
        """Tell whether something was edited in a node, or written behind its last line."""
        start, end = self.span(node)
        for decorator in getattr(node, "decorator_list", ()):
            start = min(start, self.span(decorator)[0] - 1)
        if isinstance(node, ast.stmt):
            end = self._lines[node.end_lineno or node.lineno]
        return any(
            start < one.start <= end or (one.start == start and one.end > start)
            for one in self._splices
        )

    def edit(self) -> FileEdit:
        """Return the file before and after.

        Raises:
            NoSafeEditError: If two edits overlap, or the result is no Python.
        """
        self._write_tails()
        splices = sorted(self._splices, key=lambda one: (one.start, one.end))
        for one, other in pairwise(splices):
            if other.start < one.end:
                raise NoSafeEditError("two edits fall on the same expression")
        pieces, position = [], 0
        for splice in [*self._import_splices(), *splices]:
            pieces += [self.text[position : splice.start], splice.text]
            position = splice.end
        after = "".join([*pieces, self.text[position:]])
        try:
            ast.parse(after)
        except SyntaxError as error:
            raise NoSafeEditError("the edited file would be no Python") from error
        return FileEdit(path=display_path(str(self.path)), before=self.text, after=after)

    def _write_tails(self) -> None:
        for last, tail in self._tails.items():
            if isinstance(last.value, ast.Name):
                self._before_return(last, tail.lines)
                continue
            start, _ = self.span(last)
            line = self._lines[last.lineno - 1]
            indent = self.indent(last)
            head = f"{tail.network} ="
            if self.text[line:start].strip():  # it stands on the line of its function
                indent += "    "
                start = len(self.text[:start].rstrip(" "))
                head = f"\n{indent}{head}"
            keyword = self.text.index("return", start) + len("return")
            self._add(_Splice(start, keyword, head))
            end = self._lines[last.end_lineno or last.lineno]
            gap = "" if self.text[:end].endswith("\n") else "\n"
            body = [*tail.lines, f"return {tail.network}"]
            text = "".join(f"{indent}{one}\n" if one else "\n" for one in body)
            self._add(_Splice(end, end, gap + text))
        self._tails.clear()

    def _before_return(self, last: ast.Return, lines: Sequence[str]) -> None:
        start, _ = self.span(last)
        if self.text[self._lines[last.lineno - 1] : start].strip():
            raise NoSafeEditError(f"line {last.lineno} holds a whole function")
        self.add_before(last, lines)

    def _import_splices(self) -> list[_Splice]:
        if not self.names.needed:
            return []
        at = self._behind_imports()
        return [_Splice(at, at, self._in_style("".join(f"{line}\n" for line in self.names.needed)))]

    def _behind_imports(self) -> int:
        """Return the position behind the imports at the head of the file."""
        last: ast.stmt | None = None
        for statement in self.tree.body:
            is_docstring = isinstance(statement, ast.Expr) and statement is self.tree.body[0]
            if isinstance(statement, ast.Import | ast.ImportFrom):
                last = statement
            elif not is_docstring:
                break
        return self._lines[last.end_lineno or last.lineno] if last is not None else 0

    def _add(self, splice: _Splice) -> None:
        self._splices[_Splice(splice.start, splice.end, self._in_style(splice.text))] = None

    def _in_style(self, text: str) -> str:
        """Write new lines as the file does: its line ends, its unit of indentation."""
        if "\n\t" in self.text:
            text = _INDENT.sub(lambda found: found[1] + "\t" * (len(found[2]) // 4), text)
        if "\r\n" in self.text:
            text = text.replace("\r\n", "\n").replace("\n", "\r\n")
        return text

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return the positions in the text at which a node begins and ends."""
        return (
            self._offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self._offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def _offset(self, line: int, column: int) -> int:
        """Turn a line and a column in bytes of UTF-8 into a position in the text."""
        text = self._bytes[line - 1]
        return self._lines[line - 1] + len(text.encode("utf-8")[:column].decode("utf-8"))
