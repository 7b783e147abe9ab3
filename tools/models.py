"""Whose a model file is: what a notebook starts from, and what is published with it."""

import re
import shutil
from pathlib import Path

from toolkit.files import replacing
from toolkit.results import load_records
from tools.notebooks import QUESTIONS, sources
from tools.stamps import fingerprint, is_up_to_date

SUFFIXES = ".keras", ".tflite"


def owners(root, target, room):
    """The notebooks to which the files in a room's models/ belong: dict from file to notebook.

    Looked for below `root` and `target`. A file is that of its record or, where it has none, of
    the first script that names it. Files of no notebook are left out.
    """
    scripts = {path.stem: path for path in sources(root, room)}
    owner = {}
    for place in (root, target):
        for record in load_records(Path(place, room.results)):
            if record["file"] and record["notebook"] in scripts:
                owner[record["file"]] = record["notebook"]
        for path in Path(place, room.folder, "models").glob("*"):
            named_by = [name for name, script in scripts.items() if names(script, path.name)]
            if named_by and path.suffix in SUFFIXES:
                owner.setdefault(path.name, named_by[0])
    return owner


def names(script, file):
    """Whether a script names a file."""
    return bool(re.search(rf"\b{re.escape(file)}\b", Path(script).read_text(encoding="utf-8")))


def bring_models(root, target, source, room, circumstances, published):
    """Puts the models of other notebooks from which a script starts into `target`, and says so.

    They are those of its room and, of a study, those of the questions too, in ../models/.
    Models of notebooks that are up to date there stay, see `is_up_to_date`. Of others the published
    ones are copied from `root` or, unless `published`, none is left, and the notebook trains what
    it needs. Returns the `fingerprint` of each, a dict from its path from models/ to str.
    """
    found: dict[str, str] = {}
    told = []
    for other in dict.fromkeys((QUESTIONS, room)):
        scripts = {script.stem: script for script in sources(root, other) if script != source}
        belongs = owners(root, target, other)
        files = {file: name for file, name in belongs.items() if name in scripts}
        here, there = (Path(place, other.folder, "models") for place in (target, root))
        needed = [file for file in files if names(source, file)]
        for name in dict.fromkeys(files[file] for file in needed):
            if is_up_to_date(scripts[name], target, circumstances):
                told.append(f"{name} (as made here)")
                continue
            theirs = [file for file in needed if files[file] == name]
            copied = published and all((there / file).exists() for file in theirs)
            for file in theirs:
                (here / file).unlink(missing_ok=True)
                if copied:
                    with replacing(here / file) as temporary:
                        shutil.copyfile(there / file, temporary)
            told.append(f"{name} ({'as published' if copied else 'trained if needed'})")
        way = "" if other == room else "../../models/"
        found |= {way + file: fingerprint(here / file) for file in needed if (here / file).exists()}
    if told:
        print(f"{source.stem} starts from the models of {' and '.join(told)}")
    return found
