"""Follows expressions: which Value each gives."""

import ast
import time

from grader.mistakes import library, operations, tables
from grader.mistakes.values import OTHER, UNSURE, Value, constant, files_named, join, listed, stream

MAX_DEPTH, MAX_LENGTH, MAX_KEYS = 90, 200, 99


class Expressions:
    """The Values of expressions, at most `limit` steps in all.

    saved: path -> model. A scope is a ChainMap of name -> Value; what a function returns and
    yields is kept beside its names, in lists "return" and "yield".
    """

    def __init__(self, finder):
        self.finder, self.saved, self.whole = finder, {}, True
        self.steps = self.limit = self.depth = 0
        self.deadline = 0.0

    def goes_on(self):
        """Whether another step is within limits; `whole` says whether all were."""
        self.steps += 1
        within = self.steps <= self.limit and self.depth <= MAX_DEPTH
        within &= time.process_time() <= self.deadline
        self.whole &= within
        return within

    def value(self, node, scope):
        method = getattr(self, f"of_{type(node).__name__.lower()}", None)
        if not self.goes_on() or not method:
            return UNSURE
        self.depth += 1
        try:
            return method(node, scope)
        finally:
            self.depth -= 1

    def values(self, nodes, scope):
        """The Values of arguments or of the items of a list."""
        found: list = []
        for node in nodes[:MAX_LENGTH]:
            value = self.value(node, scope)
            found += value.iterated() if isinstance(node, ast.Starred) else [value]
        return found

    def assign(self, target, value, scope):
        if isinstance(target, ast.Name):
            scope[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            for part, each in zip(target.elts, value.unpacked(len(target.elts)), strict=True):
                self.assign(part, each, scope)
        elif isinstance(target, ast.Attribute) and target.attr == "representative_dataset":
            self.check_examples(value, target)
        elif isinstance(target, ast.Attribute) and target.attr == "activation":
            owner = self.value(target.value, scope)
            (owner.base or owner).act = ""
        elif isinstance(target, ast.Subscript):
            whole, key = self.value(target.value, scope), self.value(target.slice, scope)
            if whole.kind == "dict" and len(whole.items) < MAX_KEYS:
                whole.items[key.key()] = UNSURE if self.finder.doubt else value

    def of_call(self, node, scope):
        function, args = self.value(node.func, scope), self.values(node.args, scope)
        options: dict = {}
        for keyword in node.keywords:
            value = self.value(keyword.value, scope)
            if keyword.arg:
                options[keyword.arg] = value
            else:
                known = value.items if value.kind == "dict" else {"**": UNSURE}
                options |= {str(name): item for name, item in known.items()}
        return self.apply(function, args, options, node)

    def apply(self, function, args, options, node):
        """The Value that a call gives."""
        if function.call:
            return function.call(args, options, node)
        if "representative_dataset" in options:
            self.check_examples(options["representative_dataset"], node)
        for name in {"validation_data", "validation"} & set(options):  # the latter in starters
            self.finder.test_data("test_for_validation", options[name], node)
        return library.called(function, args, options, node, self)

    def check_examples(self, examples, node):
        """Looks at what a `representative_dataset` gives, also one that a function makes."""
        for _ in range(2):
            examples = examples.call([], {}, node) if examples.call else examples
        self.finder.test_data("test_examples", examples, node)

    def of_yield(self, node, scope):
        scope["yield"].append(self.value(node.value, scope))
        return OTHER

    def of_constant(self, node, scope):
        return constant(node.value)

    def of_name(self, node, scope):
        return scope.get(node.id, Value("name", node.id)).named(node.id)

    def of_attribute(self, node, scope):
        return operations.attribute(self.value(node.value, scope), node.attr)

    def of_subscript(self, node, scope):
        base, key = self.value(node.value, scope), self.value(node.slice, scope)
        pair = base.kind == "table" and isinstance(node.slice, ast.Tuple) and key.items
        key = key.items[-1] if pair else key
        self.finder.cut(base, key, node)
        if base.kind == "table":
            return tables.columns(base, key) if pair else tables.rows(base, key)
        return operations.item(base, key)

    def of_slice(self, node, scope):
        bounds = node.lower, node.upper
        return Value("slice", items=[self.value(b, scope) if b else constant(None) for b in bounds])

    def of_joinedstr(self, node, scope):
        known = self.values(node.values, scope)
        text = "".join(str(part.const) for part in known if part.kind == "const")
        if all(part.kind == "const" for part in known):
            return constant(text[:1000])
        return Value(files=files_named(text) or listed(known).all_files())

    def of_formattedvalue(self, node, scope):
        return self.value(node.value, scope)

    of_starred = of_formattedvalue

    def of_tuple(self, node, scope):
        return listed(self.values(node.elts, scope))

    of_list = of_set = of_tuple

    def of_dict(self, node, scope):
        items: dict = {}
        for key, content in list(zip(node.keys, node.values, strict=True))[:MAX_LENGTH]:
            value = self.value(content, scope)
            if key is None:
                items |= value.items if value.kind == "dict" else {"**": UNSURE}
            else:
                items[self.value(key, scope).key()] = value
        return Value("dict", items=items)

    def of_listcomp(self, node, scope):
        inner = scope.new_child()
        first, *more = node.generators
        source = self.value(first.iter, scope)
        if source.kind == "row":
            return source
        exact = source.kind in ("list", "dict") and not more and not first.ifs
        made = []
        for each in source.iterated() if exact else [source.element()]:
            self.assign(first.target, each, inner)
            for nested in more:
                self.assign(nested.target, self.value(nested.iter, inner).element(), inner)
            made.append(self.entry(node, inner))
        if isinstance(node, ast.DictComp):
            return Value("dict", items=dict(made))
        return listed(made) if exact else stream(join(made))

    of_generatorexp = of_setcomp = of_dictcomp = of_listcomp

    def entry(self, node, scope):
        if isinstance(node, ast.DictComp):
            return self.value(node.key, scope).key(), self.value(node.value, scope)
        return self.value(node.elt, scope)

    def of_ifexp(self, node, scope):
        known = self.value(node.test, scope).truth()
        if known is not None:
            return self.value(node.body if known else node.orelse, scope)
        doubt, self.finder.doubt = self.finder.doubt, 2
        both = self.values([node.body, node.orelse], scope)
        self.finder.doubt = doubt
        return join(both)

    def of_boolop(self, node, scope):
        return join(self.values(node.values, scope))

    def of_unaryop(self, node, scope):
        value = self.value(node.operand, scope)
        if isinstance(node.op, ast.Not):
            return OTHER if value.truth() is None else constant(not value.truth())
        return constant(-value.const) if isinstance(value.const, int | float) else value

    def of_compare(self, node, scope):
        self.values([node.left, *node.comparators], scope)
        return Value("mask")

    def of_binop(self, node, scope):
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        made = operations.operated(left, right, node.op)
        if operations.rescales(left, right, node.op):
            self.finder.scaling(made, node)
        return made
