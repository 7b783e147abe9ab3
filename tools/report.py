"""Writes report.md and the README's tables from models/ and studies/results.json.

The prose stands in report.md.j2 and studies.md.j2, written by hand; every figure in it is
looked up in the records when the report is built.
"""

import json
import re
from pathlib import Path
from statistics import mean

import jinja2
import pandas as pd

from toolkit.files import replacing
from toolkit.results import load_records, results_table
from tools.datasets import DATA_SETS
from tools.pictures import write_pictures

ROOT = Path(__file__).parent.parent
HEADLINES = "sign_mnist_clustered", "sign_mnist_pruned"


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
    }
    return environment.get_template(name)


def render(records, figures):
    """The report as Markdown. figures: name -> what to show of benchmarks/<name>.json."""
    return template("report.md.j2").render(
        models={record["id"]: record for record in records},
        banner=banner(records),
        table=markdown_table(results_table(records)),
        smallest=lambda prefix: min(
            (record for record in records if record["technique"].startswith(prefix)),
            key=lambda record: record["bytes_gzip"],
        ),
        **figures,
    )


def banner(records):
    """What must stand above the records' figures if they are not from the real data, or ""."""
    others = {
        name for record in records if not record["canonical"] for name in record["data_sha256"]
    }
    titles = [one.title for one in DATA_SETS if others & set(one.canonical_sha256)]
    return f"NOT {' and '.join(titles)}: figures from other data" if titles else ""


def markdown_table(table):
    """A DataFrame of text as a Markdown table."""
    return table.to_markdown(disable_numparse=True)


def seeds_table(seeds):
    """benchmarks/seeds.json as a DataFrame, one row a seed, the mean last."""
    rows = {
        seed: {
            "accurate: errors": f"{f['accurate']['total'] - f['accurate']['correct']}",
            "accurate: test accuracy": f"{f['accurate']['accuracy']:.3%}",
        }
        for seed, f in seeds.items()
    }
    average = mean(f["accurate"]["accuracy"] for f in seeds.values())
    rows["mean"] = {"accurate: errors": "", "accurate: test accuracy": f"{average:.3%}"}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("seed")


def race_table(race, records):
    """benchmarks/race.json as a DataFrame, one row a notebook and seed.

    The published models, known by their records, stand in for the tests of their seeds.
    """
    rows: dict[str, dict[str, str]] = {}
    headlines = {record["notebook"]: record for record in records if record["id"] in HEADLINES}
    for notebook, seeds in race.items():
        published = headlines[notebook]
        for seed, figures in sorted(seeds.items()):
            chosen = seed == str(published["seed"])
            if chosen:
                figures = figures | {"test": published}
            row = rows[f"{notebook}, seed {seed}{', published' if chosen else ''}"] = {}
            for kind, name in (("validation", "held-out photos"), ("test", "test file")):
                found = figures.get(kind)
                row[f"{name}: accuracy"] = f"{found['accuracy']:.2%}" if found else "–"
                row[f"{name}: gzip bytes"] = f"{found['bytes_gzip']:,}" if found else "–"
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("recipe")


def tracks_table(tracks):
    """benchmarks/tracks.json as a DataFrame, one row a file, the smallest of a track first."""
    rows = []
    for run in tracks:
        settings = ", ".join(
            f"{name.replace('_', ' ')} {written(value)}" for name, value in run["settings"].items()
        )
        for kind, figures in run["files"].items():
            rows.append(
                {
                    "track": run["track"],
                    "settings": settings,
                    "file": kind,
                    "held-out photos": percent(figures["accuracy"]),
                    "gzip bytes": f"{figures['bytes_gzip']:,}",
                    "bytes": figures["bytes_gzip"],
                }
            )
    table = pd.DataFrame(rows).sort_values(["track", "bytes"]).drop(columns="bytes")
    return table.set_index("track")


def told_settings(settings, usual, everything):
    """The settings of a trial as text: all of them, or those that differ from the `usual`."""
    return ", ".join(
        f"{name.replace('_', ' ')} {written(value)}"
        for name, value in settings.items()
        if everything or value != usual.get(name)
    )


def cascades_table(trials):
    """benchmarks/cascades.json as a DataFrame, one row a trial, in the order of the trials.

    The last trial of each recipe is the notebook's; of the others only what differs from it is
    told.
    """
    chosen = {trial["recipe"]: trial["settings"] for trial in trials}
    rows = []
    for trial in trials:
        one_scale = trial["files"].get("int8, one scale")
        settings = dict(trial["settings"])
        last = chosen[trial["recipe"]]
        what = written(settings.pop("sparsities")) if "sparsities" in settings else "M"
        told = told_settings(settings, last, everything=trial["settings"] == last)
        judged = one_scale or trial["files"]["float"]
        rows.append(
            {
                "network": what,
                "settings": told,
                "held-out photos": percent(judged["accuracy"]),
                "gzip bytes, int8": f"{one_scale['bytes_gzip']:,}" if one_scale else "–",
            }
        )
    return pd.DataFrame(rows).set_index("network")


def speech_tables(figures):
    """benchmarks/speech.json as two DataFrames: its trials, and its seeds or None.

    The first trial of a recipe is the notebook's; of the others only what differs is told.
    """
    rows, chosen = [], dict[str, dict]()
    for entry in figures["trials"]:
        usual = chosen.setdefault(entry["recipe"], entry["settings"])
        told = told_settings(entry["settings"], usual, everything=entry["settings"] == usual)
        rows.append(
            {
                "network": entry["recipe"].replace("_", " "),
                "settings": told,
                "validation clips": percent(entry["accuracy"]),
                "made worse": percent(entry["accuracy_worse"]),
                "gzip bytes": f"{entry['bytes_gzip']:,}" if "bytes_gzip" in entry else "–",
            }
        )
    trials = pd.DataFrame(rows).set_index("network")
    if "seeds" not in figures:
        return {"trials": trials, "seeds": None}
    seeds = pd.DataFrame(
        {
            "network": entry["settings"]["network"].replace("_", " "),
            "seed": entry["settings"]["seed"],
            "validation clips": percent(entry["accuracy"]),
            "made worse": percent(entry["accuracy_worse"]),
            "test clips": percent(entry["test"]),
        }
        for entry in figures["seeds"]
    )
    return {"trials": trials, "seeds": seeds.sort_values(["network", "seed"]).set_index("network")}


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
    """Writes folder/report.md from folder/models/results.json; returns the table as text.

    The figures of benchmarks/, all from the real data, are shown beside such only.
    """
    records = load_records(Path(folder, "models", "results.json"))
    paths = [] if banner(records) else (ROOT / "benchmarks").glob("*.json")
    figures = {path.stem: json.loads(path.read_text()) for path in paths}
    if "seeds" in figures:
        figures["seeds"] = seeds_table(figures["seeds"])
    if "race" in figures:
        figures["race"] = race_table(figures["race"], records)
    if "tracks" in figures:
        figures["tracks"] = tracks_table(figures["tracks"])
    if "cascades" in figures:
        figures["cascades"] = cascades_table(figures["cascades"])
    if "speech" in figures:
        figures["speech"] = speech_tables(figures["speech"])
    if "four_bits" in figures:
        figures["four_bits"]["mean"] = mean(figures["four_bits"]["test"].values())
    with replacing(Path(folder, "report.md")) as temporary:
        temporary.write_text(render(records, figures))
    return results_text(records)


def results_text(records):
    """The records as a table under their banner, a str."""
    return "\n".join([banner(records), results_table(records).to_string()]).strip()


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
    """Puts the current results between the marks of root/README.md."""
    path = Path(root, "README.md")
    results = results_table(load_records(Path(root, "models", "results.json")))
    studies = load_records(Path(root, "studies", "results.json"))
    text = between_marks(path.read_text(), "results", markdown_table(results))
    text = between_marks(text, "studies", studies_table(studies))
    with replacing(path) as temporary:
        temporary.write_text(text)


if __name__ == "__main__":
    write_pictures(ROOT)
    print(write_report(ROOT))
    refresh_readme(ROOT)
