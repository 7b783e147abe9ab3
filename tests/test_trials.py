"""Trials: recipes run without the photos that judge them, and the records of what came of it."""

import ast
import json
import re
import subprocess
from datetime import datetime
from importlib import import_module
from pathlib import Path

import pytest

import benchmarks.held_out
import benchmarks.signmnist
from benchmarks.trials import load_trials, recorded, run_trial, trials_of
from signmnist.recipes import ACCURATE, CASCADES_M
from tools.notebooks import notebook_path, read_notebook, sources
from tools.report import trials_table

ROOT = Path(__file__).parent.parent
TRIALS = load_trials()
CHOSEN = [
    (package, name)
    for package in sorted(path.parent.name for path in ROOT.glob("*/recipes.py"))
    for name in import_module(f"{package}.recipes").CHOSEN
]
FIELDS = [
    *("recipe", "settings", "seed", "judged_on", "figures"),
    *("seconds", "started", "commit", "processor"),
]


def published(path, package):
    """When the run began that an executed notebook shows, or when it was committed."""
    stamp = read_notebook(path).metadata.get(package, {})
    if "started" in stamp:
        return stamp["started"]
    command = ["git", "log", "-1", "--format=%aI", "--", path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if not done.stdout.strip():
        pytest.skip(f"{path.name} does not say when it was executed")
    return done.stdout.strip()


def imported_from(script, module):
    """The names that a script imports from a module, a set."""
    nodes = ast.walk(ast.parse(script.read_text()))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == module]
    return {alias.name for node in imports for alias in node.names}


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial["recipe"])
def test_a_trial_says_what_was_tried_on_what_and_when(trial):
    package, name = trial["recipe"].split(".")
    assert hasattr(import_module(f"{package}.recipes"), name)
    old = trial["started"] is None
    assert trial.keys() == set(FIELDS) | ({"recorded"} if old else set())
    assert datetime.fromisoformat(recorded(trial)).tzinfo
    assert re.search(r"\d held-out photos|\d validation speakers", trial["judged_on"])
    for figures in trial["figures"].values():
        assert 0 < figures["accuracy"] <= 1 and figures.get("bytes_gzip", 1) > 0


def test_trials_stand_in_the_order_of_their_time():
    times = [datetime.fromisoformat(recorded(trial)) for trial in TRIALS]
    assert times == sorted(times)


@pytest.mark.parametrize(("package", "name"), CHOSEN)
def test_a_recipe_called_chosen_was_tried_before_it_was_published(package, name):
    recipe = getattr(import_module(f"{package}.recipes"), name)
    found = trials_of(f"{package}.{name}", recipe, TRIALS)
    assert found, "no trial of exactly this recipe: `python -m benchmarks.trials`, or call it set"
    first = min(datetime.fromisoformat(recorded(trial)) for trial in found)
    users = [
        script for script in sources(ROOT) if name in imported_from(script, f"{package}.recipes")
    ]
    assert users
    for script in users:
        path = notebook_path(script, ROOT)
        assert first < datetime.fromisoformat(published(path, package)), path.name


def test_a_recipe_changed_by_one_number_has_no_trial():
    trial = {"recipe": "p.RACE", "settings": {"widths": [8, 4], "penalty": 1e-3}}
    recipe = {"widths": (8, 4), "penalty": 1e-3}
    assert trials_of("p.RACE", recipe, [trial]) == [trial]
    assert trials_of("p.RACE", recipe | {"widths": (8, 5)}, [trial]) == []
    assert trials_of("p.RACE", recipe | {"penalty": 2e-3}, [trial]) == []
    assert trials_of("p.OTHER", recipe, [trial]) == []


def test_a_trial_appends_its_record(sample, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(benchmarks.held_out, "ACCURATE", ACCURATE | {"epochs": 1})
    path = tmp_path / "trials.json"
    path.write_text('[{"recipe": "an older one"}]')
    record = run_trial(sample, "signmnist", "CASCADES_M", {"copies": 1}, seed=3, path=path)
    older, written = json.loads(path.read_text())
    assert older == {"recipe": "an older one"} and written == record
    assert list(record) == FIELDS and record["commit"] and record["seed"] == 3
    assert record["recipe"] == "signmnist.CASCADES_M"
    assert record["settings"] == CASCADES_M | {"copies": 1}
    assert datetime.fromisoformat(record["started"]).tzinfo
    assert 0 <= record["figures"]["float"]["accuracy"] <= 1


def test_a_trial_that_fails_leaves_the_records_as_they_were(sample, tmp_path, monkeypatch):
    path = tmp_path / "trials.json"
    path.write_text('[{"recipe": "an older one"}]')

    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmarks.signmnist, "run", fail)
    with pytest.raises(KeyboardInterrupt):
        run_trial(sample, "signmnist", "CASCADES_M", path=path)
    for name, given in (("CASCADES_M", {"copy": 1}), ("CASCADES_X", {})):
        with pytest.raises(ValueError, match=f"has no {name}"):
            run_trial(sample, "signmnist", name, given, path=path)
    assert path.read_text() == '[{"recipe": "an older one"}]'
    assert list(tmp_path.iterdir()) == [path]


def test_the_report_tells_of_a_trial_what_differs_from_the_recipe():
    trial = {
        "recipe": "signmnist.CASCADES_M",
        "seed": 0,
        "settings": dict(CASCADES_M),
        "figures": {"int8": {"accuracy": 0.95, "accuracy_worse": 0.9, "bytes_gzip": 2345}},
        "recorded": "2026-11-25T23:26:38+00:00",
        "started": None,
    }
    other = {"seed": 1, "settings": CASCADES_M | {"dropout": 0.25}}
    table = trials_table([trial, trial | other], "signmnist", "CASCADES_M")
    assert table["settings"].to_list() == ["the recipe", "dropout 0.25, seed 1"]
    row = ["the recipe", "int8", "95.00%, worse 90.00%", "2,345", "2026-11-25 23:26"]
    assert table.iloc[0].to_list() == row
    assert trials_table(
        [trial, trial | {"recipe": "signmnist.PRUNED"}], "signmnist", "CASCADES_M"
    ).shape == (1, 5)
