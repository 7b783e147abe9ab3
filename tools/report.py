"""Writes report.md and the README's tables and picture from models/ and studies/results.json.

The prose stands in report.md.j2 and studies.md.j2, written by hand; every figure in it is
looked up in the records when the report is built.
"""

import re
from functools import partial
from importlib import import_module
from pathlib import Path

import jinja2
import pandas as pd

from benchmarks.trials import load_trials, plain, recorded
from toolkit.files import replacing
from toolkit.results import in_words, load_records, results_table
from tools.datasets import DATA_SETS
from tools.notebooks import QUESTIONS, ROOMS, STUDIES, notebook_path, sources
from tools.pictures import draw_models, draw_trials, write_pictures
from tools.stamps import forecast

ROOT = Path(__file__).parent.parent
PACKAGES = "signmnist", "speech"
ANSWERS = {  # id of a record -> the part of the assignment that it answers
    "sign_mnist": "1 (b), float",
    "sign_mnist_quant_dyn": "1 (b), dynamic range",
    "sign_mnist_quant_int16x8": "1 (c), int16x8",
    "sign_mnist_quant_aware_training": "1 (d), QAT",
    "sign_mnist_clustered": "2, clustering",
    "sign_mnist_pruned": "3, pruning",
    "sign_mnist_qkeras_4bit": "4, four bits",
    "size_race_clustered": "beyond 2 and 3, own rewriting",
    "size_race_clustered_between": "… of question 1's network",
    "few_bits_ternary": "beyond 4, three values",
}


def template(name):
    """The jinja2 template tools/<name>, with the filters that reports share."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "percent": percent,
        "comma": "{:,.0f}".format,
        "table": markdown_table,
        "code": "`{}`".format,
    }
    return environment.get_template(name)


def render(records, trials, chips=()):
    """The report as Markdown. trials: the records of benchmarks/trials.json. chips: those of the
    study of deployment."""
    return template("report.md.j2").render(
        models={record["id"]: record for record in records},
        banner=banner(records),
        answers=markdown_table(answers_table(records)),
        words={record["id"]: in_words(record) for record in records},
        trials=trials,
        chosen={name: import_module(f"{name}.recipes").CHOSEN for name in PACKAGES},
        tried=partial(trials_table, trials),
        chips=chips,
    )


def banner(records):
    """What must stand above the records' figures if they are not from the real data, or ""."""
    others = {
        name for record in records if not record["canonical"] for name in record["data_sha256"]
    }
    titles = [one.title for one in DATA_SETS if others & set(one.canonical_sha256)]
    return f"NOT {' and '.join(titles)}: figures from other data" if titles else ""


def answers_table(records):
    """The answers to the assignment, of those that have a record, as a DataFrame of text."""
    heads = ["test accuracy", "without twins", "bytes", "after gzip"]
    found = {record["id"]: record for record in records if record["id"] in ANSWERS}
    rows = [
        {"part": part, "file": f"`{found[name]['file']}`"}
        | {head: in_words(found[name])[head] for head in heads}
        for name, part in ANSWERS.items()
        if name in found
    ]
    return pd.DataFrame(rows, columns=["part", "file", *heads]).set_index("part")


def of_signs(*paths):
    """The records of the models of Sign Language MNIST in these files, not those of chips."""
    records = [record for path in paths for record in load_records(path)]
    signs = set(DATA_SETS[0].canonical_sha256)
    return [r for r in records if set(r["data_sha256"]) == signs and r["bytes"]]


def of_chips(folder):
    """The records of the study of deployment in `folder`."""
    records = load_records(Path(folder, STUDIES.results))
    return [record for record in records if record["notebook"] == "deployment"]


def markdown_table(table):
    """A DataFrame of text as a Markdown table."""
    return table.to_markdown(disable_numparse=True)


TRIED = ["recipe", "settings", "file", "accuracy", "after gzip", "recorded"]


def trials_table(trials, package, *names):
    """The trials of some recipes of a package as a DataFrame, one row each, in their order.

    Of a trial's files the smallest is told, or the last one, of its settings those that differ from
    the recipe as it is now, and those that were not recorded.
    """
    rows = []
    for trial in trials:
        owner, name = trial["recipe"].split(".")
        if owner != package or name not in names:
            continue
        recipe = plain(getattr(import_module(f"{package}.recipes"), name, {}))
        usual = flat(recipe)
        other = [(k, v) for k, v in flat(trial["settings"]).items() if usual.get(k) != v]
        told = [f"{key} {written(value)}" for key, value in other]
        missing = [key.replace("_", " ") for key in recipe if key not in trial["settings"]]
        told += [f"{', '.join(missing)} not on record"] if missing else []
        told = told or ["the recipe"]
        told += [f"seed {trial['seed']}"] if trial["seed"] else []
        kind, figures = min(
            reversed(trial["figures"].items()), key=lambda one: one[1].get("bytes_gzip", 1e9)
        )
        shares = [(key[9:], v) for key, v in figures.items() if key.startswith("accuracy")]
        found = ", ".join(f"{key} {percent(v)}".strip() for key, v in shares) or "–"
        if photos := figures.get("photos_with_errors"):
            found += f", errors in {photos} photos"
        rows.append(
            {
                "recipe": name,
                "settings": ", ".join(told),
                "file": kind,
                "accuracy": found,
                "after gzip": f"{figures['bytes_gzip']:,}" if "bytes_gzip" in figures else "–",
                "recorded": recorded(trial)[:16].replace("T", " "),
            }
        )
    return pd.DataFrame(rows, columns=TRIED).set_index("recipe")


def flat(settings, prefix=""):
    """Settings with those of inner dicts beside the others: {"a": {"b": 1}} -> {"a b": 1}."""
    found: dict = {}
    for key, value in settings.items():
        name = f"{prefix}{key}".replace("_", " ")
        found |= flat(value, f"{name} ") if isinstance(value, dict) else {name: value}
    return found


def written(value):
    """A setting as text: numbers as short as they are, widths and counts joined."""
    if isinstance(value, str):
        return value.lower().replace("_", " ")
    if isinstance(value, list):
        return "-".join(map(written, value))
    return f"{value:g}"


def percent(share, digits=2):
    """A share as text, such as 99.50%."""
    return f"{share:.{digits}%}"


def write_report(folder):
    """Writes folder/report.md and its picture from the records there; returns the table as text.

    Trials, all of them on the real data, are shown beside such figures only.
    """
    records = of_signs(*(Path(folder, room.results) for room in ROOMS))
    trials = [] if banner(records) else load_trials()
    draw_models(records, folder, ANSWERS, banner(records))
    if trials:
        draw_trials(trials, folder)
    with replacing(Path(folder, "report.md")) as temporary:
        temporary.write_text(render(records, trials, of_chips(folder)))
    return results_text(load_records(Path(folder, QUESTIONS.results)))


def results_text(records):
    """The records of models as a table under their banner, a str; those of chips are left out."""
    models = [record for record in records if record["bytes"]]
    table = results_table(models).to_string() if models else "no models measured"
    return "\n".join([banner(records), table]).strip()


def studies_table(records):
    """What the studies show, as Markdown, one row each; only those that have records."""
    models = {record["id"]: record for record in records}
    notebooks = {record["notebook"] for record in records}
    return template("studies.md.j2").render(models=models, notebooks=notebooks).strip()


def between_marks(text, name, table):
    """`text` with `table` between its marks <!-- name --> and <!-- /name -->."""
    marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    return marks.sub(lambda match: f"{match[1]}{table}\n{match[2]}", text)


def refresh_readme(root):
    """Puts the current results, and how long they took, between the marks of root/README.md."""
    path = Path(root, "README.md")
    records = of_signs(*(Path(root, room.results) for room in ROOMS))
    studies = load_records(Path(root, STUDIES.results))
    text = path.read_text()
    for name, shown in {
        "results": markdown_table(answers_table(records)),
        "studies": studies_table(studies),
        "times": times(root),
    }.items():
        text = between_marks(text, name, shown)
    with replacing(path) as temporary:
        temporary.write_text(text)


def times(root):
    """How long the published runs took, as their notebooks say."""
    told = []
    for command, room in (("make run", QUESTIONS), ("make studies", STUDIES)):
        paths = [notebook_path(source, root) for source in sources(root, room)]
        told.append(f"`{command}`: {forecast(paths, 'full')}.")
    return "\n".join(told)


if __name__ == "__main__":
    write_pictures(ROOT)
    print(write_report(ROOT))
    refresh_readme(ROOT)
