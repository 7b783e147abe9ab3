"""No source types a figure that a record holds: placeholders are filled from the run."""

import json
import re
from pathlib import Path

import pytest

from signmnist.recipes import QAT
from tools.figures import PLACEHOLDER, fill_from_studies, fill_from_trials
from tools.notebooks import STUDIES, read_cells, room_of, sources

ROOT = Path(__file__).parent.parent
# What the data sets hold, settings, and sizes of the formats
ALLOWED = {"27,455", "7,172", "5,389", "1,783", "1,143", "1,397", "1,704", "34,627", "1,024", "784"}
YEAR = re.compile(r"(?<=,\s)(?:19|20)\d\d(?=[:.,)])")  # of a source: "et al., 2013)"
NUMBER = re.compile(r"(?<![\w.,])(\d(?:[\d,]*\d)?(?:\.\d+)?)(?:\s*(%|[kK]B))?")


def as_printed(records):
    """The numbers of records as tables and prose print them: {unit: set of str}."""
    shown: dict[str, set[str]] = {"": set(), "%": set(), "kB": set()}
    for name, value in [pair for record in records for pair in record.items()]:
        if isinstance(value, bool) or name == "total":
            continue
        if isinstance(value, int) and value >= 100:
            shown[""] |= {f"{value}", f"{value:,}"}
        if "bytes" in name and value:
            shown["kB"] |= {f"{value / unit:.1f}" for unit in (1000, 1024)}
        if isinstance(value, float) and 0 <= value <= 1 and "seconds" not in name:
            shown["%"] |= {f"{value:.1%}"[:-1], f"{value:.2%}"[:-1]}
    return shown


def typed(prose, records):
    """The numbers of three or more digits in a text that repeat what a record holds."""
    shown = as_printed(records)
    text = YEAR.sub("", re.sub(r"`[^`]*`", "", PLACEHOLDER.sub("", prose)))
    return [
        found[0]
        for found in NUMBER.finditer(text)
        if len(re.sub(r"\D", "", found[1])) >= 3
        and found[1] not in ALLOWED
        and found[1] in shown[(found[2] or "").replace("K", "k")]
    ]


RECORD = {"accuracy": 0.98354, "bytes_gzip": 12625, "params": 41704, "correct": 2012, "total": 7172}


@pytest.mark.parametrize(
    ("prose", "found"),
    [
        ("it reads 98.4 % of them", ["98.4 %"]),
        ("it reads 98.35% of them", ["98.35%"]),
        ("12,625 bytes, of 7,172 images", ["12,625"]),
        ("41704 parameters, in 12.6 KB", ["41704", "12.6 KB"]),
        ("by Bengio et al., 2012) in 2012 bytes", ["2012"]),
        ("it reads 98 % in about 12 kB, 98.3 % elsewhere, 12,626 bytes", []),
        ("{{record['accuracy']:.1%}}, and `98.4 %` in code", []),
    ],
)
def test_a_figure_of_a_record_in_prose_is_found(prose, found):
    assert typed(prose, [RECORD]) == found


@pytest.mark.parametrize("source", sources(ROOT), ids=lambda path: path.stem)
def test_no_markdown_cell_types_what_a_record_holds(source):
    room = room_of(source)
    records = json.loads(Path(ROOT, room.results).read_text())
    if room == STUDIES:
        records = [record for record in records if record["notebook"] == source.stem]
    assert records
    prose = [cell.source for cell in read_cells(source) if cell.cell_type == "markdown"]
    assert [typed(text, records) for text in prose if typed(text, records)] == []


def test_figures_of_studies_are_looked_up_when_a_notebook_is_built():
    records = {"race": {"bytes_gzip": 1380, "accuracy": 0.9168}}
    prose = "{{studies/race/bytes_gzip:,}} bytes at {{studies/race/accuracy:.2%}}, {{a / b:.1f}}"
    assert fill_from_studies(prose, records) == "1,380 bytes at 91.68%, {{a / b:.1f}}"
    assert fill_from_studies("{{studies/other/bytes:,}}", records) == "(not yet published)"


def test_figures_of_trials_are_those_of_exactly_this_recipe_from_lowest_to_highest():
    def trial(accuracy, **given):
        figures = {"int8": {"accuracy": accuracy}}
        return {"recipe": "signmnist.QAT", "settings": QAT | given, "figures": figures}

    trials = [trial(0.983), trial(0.97), trial(0.5, epochs=3)]
    assert fill_from_trials("{{trials/signmnist.QAT//int8/accuracy:.1%}}", trials) == (
        "97.0% to 98.3%"
    )
    one = "{{trials/signmnist.QAT/epochs=%d/int8/accuracy:.1%%}}"
    assert fill_from_trials(one % 3, trials) == "50.0%"
    assert fill_from_trials(one % 4, trials) == "(no trial yet)"
    two = "{{trials/signmnist.QAT/epochs=3&learning_rate=%s/int8/accuracy:.1%%}}"
    assert fill_from_trials(two % "2e-4", trials) == "50.0%"
    assert fill_from_trials(two % "1e-4", trials) == "(no trial yet)"
    rows = fill_from_trials("{{trials/signmnist.QAT/epochs/int8/accuracy:.1%}}", trials)
    assert rows == "| 2 | 97.0% to 98.3% |\n| 3 | 50.0% |"
