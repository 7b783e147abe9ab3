"""Finds names that would collide once the modules are unfolded into a notebook."""

import ast
from itertools import combinations
from pathlib import Path

from tools.notebooks import sources
from tools.unfold import PACKAGES, imports_of, reach

OWN_SCOPE = (ast.Lambda, ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp)


def clashes(root):
    """Names that two sources use for different things, a list of one message each.

    In a notebook its own code and all the helpers share one namespace, so a name must
    mean the same thing in every module, and in each script what it means in the modules.
    Packages of two data sets never meet in a notebook, and a script meets those modules only
    that its imports reach.
    """
    modules = [path for package in PACKAGES for path in sorted(Path(root, package).glob("*.py"))]
    met = {
        path: [other for other in modules if other.parent.name in ("toolkit", path.parent.name)]
        for path in modules
    }
    met |= {
        script: [module.path for module, _ in reach(root, imports_of(script)).values()]
        for script in sources(root)
    }
    names = {path: meanings(path) for path in met}
    return [
        f"{path.name} and {other.name} both define `{name}`"
        for path, other in combinations(met, 2)
        if path in met[other]
        for name in sorted(names[path].keys() & names[other].keys())
        if names[path][name] != names[other][name]
    ]


def meanings(path):
    """The names that a source binds at top level, each with the set of its meanings.

    What is imported means what it is called where it comes from; what is assigned
    means its expression; a function, a class or a loop variable means itself. Imports
    from the packages bind nothing: they vanish when the modules are unfolded.
    """
    owner = f"{path.parent.name}.{path.stem}"
    names: dict[str, set[str]] = {}

    def add(name, meaning):
        names.setdefault(name, set()).add(meaning)

    def visit(node):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            add(node.name, f"{owner}.{node.name}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                full = alias.name if alias.asname else alias.name.split(".")[0]
                add(alias.asname or full, full)
        elif isinstance(node, ast.ImportFrom):
            if str(node.module).split(".")[0] not in PACKAGES:
                for alias in node.names:
                    add(alias.asname or alias.name, f"{node.module}.{alias.name}")
        elif isinstance(node, ast.Assign) and all(isinstance(t, ast.Name) for t in node.targets):
            for target in node.targets:
                add(ast.unparse(target), ast.unparse(node.value))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            add(node.id, f"{owner}.{node.id}")
        elif not isinstance(node, OWN_SCOPE):
            for child in ast.iter_child_nodes(node):
                visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return names
