"""What a notebook reaches of the project's packages: which definitions, in which modules.

Decided from the syntax tree: a definition is reached if the notebook imports it, or if its name
stands in a definition that is reached.
"""

import ast
import symtable
from pathlib import Path

PACKAGES = "toolkit", "signmnist", "speech", "photos"
IN_SIGHT = "in sight"  # in the comment beside a name that is imported: shown, not folded


class SourceError(Exception):
    """A source that cannot become a notebook; the message names the file and the line."""


class Piece:
    """A statement at the top level of a module, with the comment above it.

    lines: its source. blank: how many blank lines stand above it. names: what it binds.
    uses: the global names that it needs. acts: whether it is neither a definition nor an
    import, so that it belongs to every use of its module.
    """

    def __init__(self, node, lines, previous_end):
        start = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) - 1
        while start > previous_end and lines[start - 1].startswith("#"):
            start -= 1
        self.node = node
        self.lines = lines[start : node.end_lineno]
        self.blank = start - previous_end
        self.names = set(bound_names(node))
        self.uses = set(global_names("\n".join(self.lines)))
        self.acts = not self.names

    def source(self, wanted):
        """Its lines; of an import those of the names that are `wanted`."""
        if not isinstance(self.node, ast.Import | ast.ImportFrom):
            return self.lines
        kept = [alias for alias in self.node.names if bound_by(alias) in wanted]
        if len(kept) == len(self.node.names):
            return self.lines
        if isinstance(self.node, ast.Import):
            return [ast.unparse(ast.Import(kept))]
        names = [ast.unparse(alias) for alias in kept]
        line = f"from {self.node.module} import {', '.join(names)}"
        if len(line) <= 100:
            return [line]
        return [f"from {self.node.module} import (", *(f"    {name}," for name in names), ")"]


class Module:
    """A module of a package: its docstring, its pieces and what it imports of the packages.

    docstring: its lines. imports: name -> name of the module that it comes from.
    """

    def __init__(self, root, name):
        path = Path(root, *name.split(".")).with_suffix(".py")
        if not path.exists():
            raise SourceError(f"{path}: there is no such module")
        text = path.read_text(encoding="utf-8")
        tree = parse(text, path)
        self.path = path
        own = package_imports(tree, text, path)
        self.imports = {alias.name: node.module for node in own for alias in node.names}
        lines, body, end = text.splitlines(), tree.body, 0
        if ast.get_docstring(tree):
            body, end = tree.body[1:], tree.body[0].end_lineno or 0
        self.docstring, self.pieces = lines[:end], []
        for node in body:
            if node not in own:
                self.pieces.append(Piece(node, lines, end))
            end = node.end_lineno or end

    def source(self, names):
        """The source of the docstring and the pieces that bind `names`, or act."""
        lines = list(self.docstring)
        for piece in self.pieces:
            if piece.acts or piece.names & names:
                lines += [*([""] * piece.blank if lines else []), *piece.source(names)]
        return "\n".join(lines)

    def definitions(self, names):
        """The source of the definitions of `names` alone, in the order of the module."""
        found = ["\n".join(piece.lines) for piece in self.pieces if piece.names & names]
        return "\n\n\n".join(found)


def reach(root, imports):
    """The modules of the packages in `root` that `imports`, ast nodes of a notebook, reach.

    Returns a dict from a module's name to (Module, set of the names that are reached in it).
    Raises SourceError for a name that its module lacks.
    """
    modules: dict[str, Module] = {}
    reached: dict[str, set[str]] = {}
    waiting = [(node.module, alias.name, True) for node in imports for alias in node.names]
    while waiting:
        name, wanted, by_import = waiting.pop()
        if name not in modules:
            modules[name], reached[name] = Module(root, name), set()
            acting = [piece for piece in modules[name].pieces if piece.acts]
            waiting += [(name, used, False) for piece in acting for used in piece.uses]
        module = modules[name]
        if wanted in reached[name]:
            continue
        pieces = [piece for piece in module.pieces if wanted in piece.names]
        if wanted in module.imports:
            waiting.append((module.imports[wanted], wanted, True))
        elif not pieces:
            if by_import:
                raise SourceError(f"{module.path}: there is no {wanted}, but it is imported")
            continue  # a name of Python's own
        reached[name].add(wanted)
        waiting += [(name, used, False) for piece in pieces for used in piece.uses]
    return {name: (modules[name], reached[name]) for name in modules}


def bound_by(alias):
    """The name that an alias of an import statement binds."""
    return alias.asname or alias.name.split(".")[0]


def bound_names(node):
    """Yields the names that a statement at the top level binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from map(bound_by, node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for part in ast.walk(target):
                if isinstance(part, ast.Name):
                    yield part.id


def global_names(text):
    """Yields the names that a source uses and does not bind in a scope of its own."""

    def visit(table):
        top = table.get_type() == "module"
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (top or symbol.is_global()):
                yield symbol.get_name()
        for child in table.get_children():
            yield from visit(child)

    yield from visit(symtable.symtable(text, "source", "exec"))


def parse(text, path):
    """The syntax tree of a source; raises SourceError, with the line, if there is none."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise SourceError(f"{path}:{error.lineno}: {error.msg}") from error


def package_imports(tree, text, path):
    """The `from package.module import ...` statements in the syntax tree of a source.

    Raises SourceError where a package is imported in a form that cannot be unfolded.
    """
    lines, found = text.splitlines(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            ours = any(alias.name.split(".")[0] in PACKAGES for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            ours = bool(node.level) or module.split(".")[0] in PACKAGES
        else:
            continue
        if not ours:
            continue
        plain = (
            isinstance(node, ast.ImportFrom)
            and not node.level
            and module.count(".") == 1
            and not any(alias.asname or alias.name == "*" for alias in node.names)
        )
        after = (
            lines[(node.end_lineno or node.lineno) - 1]
            .encode()[node.end_col_offset :]
            .decode()
            .strip()
        )
        if not plain or node.col_offset or (after and not after.startswith("#")):
            raise SourceError(
                f"{path}:{node.lineno}: `{ast.unparse(node)}` cannot be unfolded; write "
                "`from package.module import name, ...` on lines of its own at top level"
            )
        found.append(node)
    return found


def imports_of(path):
    """The `package_imports` of the source at `path`."""
    text = Path(path).read_text(encoding="utf-8")
    return package_imports(parse(text, path), text, path)


def imported_packages(path):
    """The names of the packages from which the source at `path` imports, a set."""
    return {node.module.split(".")[0] for node in imports_of(path)}


def names_in_sight(node, text):
    """The names of an import whose definitions are to be shown where it stands, a set."""
    lines = text.splitlines()
    return {a.name for a in node.names if IN_SIGHT in lines[a.lineno - 1].partition("#")[2]}
