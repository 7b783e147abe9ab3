"""Figures in the prose of the notebooks: no source types them, each run fills them in.

In a Markdown cell `{{expression:format}}` stands for f"{expression:format}" in the notebook's own
kernel, after its last cell. `{{studies/id/field:format}}` stands for a field of a study's record;
it is filled in when the notebook is built. So is
`{{trials/package.RECIPE/name=value/kind/field:format}}` from the trials of a recipe, with another
setting, or several joined by `&`, or, with nothing between the strokes, as it is; of several seeds
lowest and highest. With `name` alone it becomes the rows of a table, one for each value that was
tried, the best on top.
"""

import json
import re
from importlib import import_module

from nbformat.v4 import new_code_cell

from benchmarks.trials import trials_of

PLACEHOLDER = re.compile(r"\{\{(.+?)\}\}")
OF_A_STUDY = re.compile(r"\{\{studies/(\w+)/(\w+):(.*?)\}\}")
OF_TRIALS = re.compile(r"\{\{trials/(\w+)\.(\w+)/([^/]*)/([^/]+)/(\w+):(.*?)\}\}")
PUBLISHED = "published run: {}"  # how a figure reads that is not of this run


def fill_from_studies(text, records):
    """`text` with the figures of studies filled in. records: id -> the record of a study."""

    def figure(found):
        name, field, form = found.groups()
        return format(records[name][field], form) if name in records else "(not yet published)"

    return OF_A_STUDY.sub(figure, text)


def fill_from_trials(text, trials):
    """`text` with the figures of trials filled in. trials: those of benchmarks/trials.json."""

    def figure(found):
        package, name, given, kind, field, form = found.groups()
        recipe = getattr(import_module(f"{package}.recipes"), name)
        changes = [change.split("=") for change in given.split("&") if "=" in change]

        def of(**other):
            runs = trials_of(f"{package}.{name}", recipe | other, trials)
            return sorted(run["figures"][kind][field] for run in runs)

        def shown(values):
            ends = dict.fromkeys(format(value, form) for value in values[:1] + values[-1:])
            return " to ".join(ends) or "(no trial yet)"

        if given and not changes:
            tried = {trial["settings"].get(given) for trial in trials} - {None}
            rows = {value: values for value in tried if (values := of(**{given: value}))}
            ordered = sorted(rows, key=lambda value: (-rows[value][-1], value))
            return "\n".join(f"| {value} | {shown(rows[value])} |" for value in ordered)
        return shown(of(**{key: type(recipe[key])(value) for key, value in changes}))

    return OF_TRIALS.sub(figure, text)


def placeholders(notebook):
    """The expressions, with their formats, that the prose of a notebook holds; each once."""
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return list(dict.fromkeys(found.strip() for found in PLACEHOLDER.findall("\n".join(prose))))


def reading_cell(expressions):
    """A code cell that prints, as JSON, what the expressions are as text in its kernel."""
    pairs = ", ".join(f"{text!r}: f'''{{{text}}}'''" for text in expressions)
    return new_code_cell(f"import json\nprint(json.dumps({{{pairs}}}))")


def read_figures(cell):
    """Expression -> text, from a `reading_cell` that was executed."""
    return json.loads("".join(output.get("text", "") for output in cell.outputs))


def recorded_figures(notebook):
    """Expression -> text, of the run that executed a notebook; from its stamp."""
    stamps = (value for value in notebook.metadata.values() if isinstance(value, dict))
    return next((dict(stamp["figures"]) for stamp in stamps if "figures" in stamp), {})


def fill(notebook, own, published=()):
    """Replaces the placeholders of a notebook, in place, by figures that it has. Returns it.

    own: expression -> text, of the run that executed it. published: the same of the committed
    notebook, which go before them and say so. What neither has stays as it is.
    """
    shown = dict(own) | {text: PUBLISHED.format(shown) for text, shown in dict(published).items()}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = PLACEHOLDER.sub(
                lambda found: shown.get(found[1].strip(), found[0]), cell.source
            )
    return notebook
