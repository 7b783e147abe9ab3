"""Trials: recipes on photos or speakers that they did not see, and what came of them.

    .venv/bin/python -m benchmarks.trials PACKAGE RECIPE[,RECIPE...] [--seed N] [NAME=VALUE ...]

Trains by recipes of PACKAGE/recipes.py, signmnist, speech or photos, with the values given in
place of their own, and appends a record of each to benchmarks/trials.json. No test file is read.
One to twenty minutes each on 2 cores, and ten more where the networks that a recipe starts from
are not there yet.

A record: `recipe`; all its `settings`; `seed`; `judged_on`; `figures`, kind of file -> accuracy and
bytes; `seconds`; `started`, in UTC; `commit`; `processor`. Trials that were recorded before there
was this program have null for what is not known of them and, as `recorded`, the time of the commit
that brought them in.
"""

import argparse
import ast
import json
import subprocess
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from photos.data import load_cats_and_dogs
from signmnist.data import load_sign_mnist
from speech.data import load_speech_commands
from toolkit.results import write_json
from toolkit.runtime import processor_name

TRIALS = Path(__file__).with_suffix(".json")
LOADERS = {
    "signmnist": load_sign_mnist,
    "speech": load_speech_commands,
    "photos": load_cats_and_dogs,
}


def load_trials(path=TRIALS):
    """The records as a list of dicts; empty where there is no file yet."""
    return json.loads(Path(path).read_text()) if Path(path).exists() else []


def plain(settings):
    """Settings as JSON gives them back: tuples are lists."""
    return json.loads(json.dumps(settings))


def trials_of(name, recipe, trials):
    """Those of `trials` that ran exactly this recipe, a dict named "package.RECIPE"."""
    return [t for t in trials if t["recipe"] == name and t["settings"] == plain(recipe)]


def recorded(trial):
    """When a trial was on record, or began: ISO 8601 in UTC."""
    return trial["started"] or trial["recorded"]


def commit():
    """What `git describe` calls the state of the project, None outside of git."""
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=TRIALS.parent, capture_output=True, text=True)
    return done.stdout.strip() or None


def run_trial(data, package, name, given=(), seed=0, path=TRIALS):
    """Runs a recipe on `data`, a data set, and appends its record to `path`. Returns the record.

    given: dict of settings that take the place of the recipe's. Raises ValueError for a recipe
    or a setting that there is not.
    """
    recipe = getattr(import_module(f"{package}.recipes"), name, {})
    if not recipe or set(given) - set(recipe):
        raise ValueError(
            f"{package}/recipes.py has no {name} with {', '.join(given) or 'settings'}"
        )
    settings = plain(recipe | dict(given))
    start, started = time.perf_counter(), datetime.now(UTC).isoformat(timespec="seconds")
    judged_on, figures = import_module(f"benchmarks.{package}").run(data, name, settings, seed)
    record = {
        "recipe": f"{package}.{name}",
        "settings": settings,
        "seed": seed,
        "judged_on": judged_on,
        "figures": figures,
        "seconds": round(time.perf_counter() - start),
        "started": started,
        "commit": commit(),
        "processor": processor_name(),
    }
    write_json([*load_trials(path), record], path)
    return record


def main():
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("package", choices=LOADERS)
    parser.add_argument("recipes", metavar="RECIPE[,RECIPE...]")
    parser.add_argument("given", nargs="*", metavar="NAME=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    pairs = (pair.split("=", 1) for pair in arguments.given)
    given = {name: ast.literal_eval(value) for name, value in pairs}
    data = LOADERS[arguments.package]()
    if data.banner:
        parser.error(data.banner)
    try:
        for recipe in arguments.recipes.split(","):
            print(run_trial(data, arguments.package, recipe, given, arguments.seed))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
