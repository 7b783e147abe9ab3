"""Follows the statements of a notebook and the functions that it defines."""

import ast
import time
from collections import ChainMap
from functools import partial

from grader.mistakes.cells import parse
from grader.mistakes.expressions import Expressions
from grader.mistakes.tables import take_label
from grader.mistakes.values import UNSURE, Value, constant, join, listed, stream

MAX_STEPS, MAX_STATEMENT, MAX_CALLS = 100_000, 15_000, 6
MAX_CODE, SECONDS = 400_000, 10  # characters, of processor time


class Follower(Expressions):
    """Follows the code of a notebook; the Finder looks at what it meets.

    defined: (cell, node, Value) of the functions. active: those that are being followed. called:
    those that were.
    """

    def __init__(self, finder):
        super().__init__(finder)
        self.defined, self.active, self.called = [], [], set()

    def follow(self, cells):
        """Follows cells, (number, text), and then the functions that nothing called.

        Returns whether all could be followed.
        """
        top: ChainMap = ChainMap({"return": [], "yield": []})
        left, self.deadline = MAX_CODE, time.process_time() + SECONDS
        for cell, text in cells:
            statements = parse(text) if len(text) <= left else None
            self.whole &= statements is not None
            left -= len(text) if statements else 0
            for statement in statements or ():
                self.start(cell, self.statement, statement, top)
        for cell, node, function in self.defined:
            if node not in self.called:
                self.start(cell, function.call, [], {}, node)
        return self.whole

    def start(self, cell, step, *args):
        """Takes a step in a cell, within limits."""
        self.finder.cell, self.finder.doubt, self.depth, self.active = cell, 0, 0, []
        self.limit = min(self.steps + MAX_STATEMENT, MAX_STEPS)
        try:
            step(*args)
        except RecursionError:
            self.whole = False

    def block(self, statements, scope):
        """Follows statements; returns whether the code after them cannot be reached."""
        return any(self.statement(statement, scope) for statement in statements)

    def statement(self, node, scope):
        """Follows one statement; returns whether the code after it cannot be reached."""
        method = getattr(self, f"do_{type(node).__name__.lower()}", None)
        return bool(self.goes_on() and method and method(node, scope))

    def do_expr(self, node, scope):
        self.value(node.value, scope)

    def do_assign(self, node, scope):
        value = self.value(node.value, scope)
        for target in node.targets:
            self.assign(target, value, scope)

    def do_annassign(self, node, scope):
        self.assign(node.target, self.value(node.value, scope), scope)

    def do_augassign(self, node, scope):
        whole = ast.copy_location(ast.BinOp(node.target, node.op, node.value), node)
        self.assign(node.target, self.value(whole, scope), scope)

    def do_delete(self, node, scope):
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                table, key = self.value(target.value, scope), self.value(target.slice, scope)
                if key.const == "label":
                    take_label(table, self.finder.doubt)

    def do_importfrom(self, node, scope):
        scope.update({a.asname: Value("name", a.name) for a in node.names if a.asname})

    def do_return(self, node, scope):
        scope["return"].append(self.value(node.value, scope) if node.value else constant(None))
        return True

    def do_raise(self, node, scope):
        return True

    do_break = do_continue = do_raise

    def do_with(self, node, scope):
        for item in node.items:
            self.assign(item.optional_vars, self.value(item.context_expr, scope), scope)
        return self.block(node.body, scope)

    def do_for(self, node, scope):
        for value in self.value(node.iter, scope).iterated():
            self.assign(node.target, value, scope)
            self.block(node.body, scope)
        return self.block(node.orelse, scope)

    def do_while(self, node, scope):
        self.block(node.body, scope)

    def do_try(self, node, scope):
        """What is tried is taken to succeed."""
        return self.block([*node.body, *node.orelse, *node.finalbody], scope)

    def do_if(self, node, scope):
        known = self.value(node.test, scope).truth()
        if known is not None:
            return self.block(node.body if known else node.orelse, scope)
        doubt, after = self.finder.doubt, []
        leaves = isinstance(node.body[-1], ast.Return | ast.Continue)
        self.finder.doubt = max(doubt, 2 if node.orelse or leaves else 1)
        for statements in (node.body, node.orelse):
            scope.maps.insert(0, {})  # what the branch assigns
            try:
                left = self.block(statements, scope)
            finally:
                assigned = scope.maps.pop(0)
            if not left:
                after.append(assigned)
        self.finder.doubt = doubt
        for name in set().union(*after):
            values = [names.get(name) or scope.get(name) for names in after]
            scope[name] = join([value for value in values if value])
        return not after

    def do_functiondef(self, node, scope):
        scope[node.name] = self.of_lambda(node, scope)
        if not self.active:
            self.defined.append((self.finder.cell, node, scope[node.name]))

    def of_lambda(self, node, scope):
        return Value("function", call=partial(self.call_function, node, scope, self.finder.cell))

    def call_function(self, node, outside, cell, args, options, _):
        """Follows a function that was defined in a Scope and a cell."""
        self.called.add(node)
        if node in self.active or len(self.active) >= MAX_CALLS:
            return UNSURE
        scope = outside.new_child(self.arguments(node.args, outside, args, options))
        scope |= {"return": [], "yield": []}
        calling, self.finder.cell = self.finder.cell, cell
        self.active.append(node)
        try:
            if isinstance(node, ast.Lambda):
                return self.value(node.body, scope)
            self.block(node.body, scope)
        finally:
            self.active.pop()
            self.finder.cell = calling
        return stream(join(scope["yield"])) if scope["yield"] else join(scope["return"])

    def arguments(self, given, outside, args, options):
        """Name -> Value of the parameters in a call; those not given are unsure."""
        places = [arg.arg for arg in [*given.posonlyargs, *given.args]]
        others = [arg.arg for arg in given.kwonlyargs]
        bound = dict.fromkeys([*places, *others], UNSURE)
        defaults = [*zip(places[::-1], given.defaults[::-1], strict=False)]
        for name, default in [*defaults, *zip(others, given.kw_defaults, strict=True)]:
            bound[name] = self.value(default, outside)
        bound |= dict(zip(places, args, strict=False))
        if given.vararg:
            bound[given.vararg.arg] = listed(args[len(places) :])
        if given.kwarg:
            rest = {name: value for name, value in options.items() if name not in bound}
            bound[given.kwarg.arg] = Value("dict", items=rest)
        return bound | {name: value for name, value in options.items() if name in bound}
