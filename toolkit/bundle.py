"""Packs what a student hands in, and brings the models of an earlier question along."""

import importlib
import json
import os
import zipfile
from pathlib import Path, PurePosixPath

from IPython import get_ipython

from toolkit.files import DataError, naming, replacing

OWN_CELL = "pack("  # how the cell begins that packs


def bring(model, archive):
    """Sees to it that models/<model> is there: it is, or comes from the zip of an earlier question.

    archive: name of that zip, which lies beside the notebook, also as "q1 (1).zip"; Colab asks for
    it. Raises DataError where there is none, or none with the model.
    """
    target, made = Path("models", model), f"the last cell of {Path(archive).stem}.ipynb makes it"
    if target.exists():
        print(f"{target} is here")
        return
    pattern = f"{Path(archive).stem}*.zip"
    if not list(Path().glob(pattern)) and (files := colab("files")):
        print(f"Choose {archive}; {made}:")
        files.upload()
    for path in sorted(Path().glob(pattern), key=os.path.getmtime, reverse=True):
        with naming(path, f"Delete it and put it here anew; {made}."):
            packed = zipfile.ZipFile(path)
            places = [name for name in packed.namelist() if PurePosixPath(name).name == model]
            content = packed.read(places[0]) if places else None
        if content is not None:
            with replacing(target) as temporary:
                temporary.write_bytes(content)
            print(f"{target}, from {path}")
            return
    raise DataError(
        f"There is no {target} here, nor {archive} with it; {made}. Put that zip beside this "
        "notebook (in Colab: by the folder symbol on the left), then run this cell again."
    )


def pack(question, *models, papers=()):
    """Writes <question>.zip: the notebook as it was run, models, a report. Says what is missing.

    Colab offers the zip for download. Where the notebook is not saved as it was run, nothing is
    written, and that is said. models: names of files in models/. papers: names that the report may
    have, beside the notebook.
    """
    target, name = Path(f"{question}.zip"), f"{question}.ipynb"
    wanted = [Path("models", model) for model in models]
    found = {path: path.read_bytes() for path in [*wanted, *map(Path, papers)] if path.exists()}
    missing = [f"{path} is not there" for path in wanted if path not in found]
    if papers and not any(Path(paper) in found for paper in papers):
        missing.append(f"{' or '.join(papers)} is not there, beside this notebook")
    in_colab = colab("_message")
    notebook = shown_by(in_colab) if in_colab else saved_by_jupyter(name)
    if notebook:
        found[Path(name)] = json.dumps(notebook, indent=1, ensure_ascii=False).encode()
        missing += left_to_do(notebook["cells"])
    elif in_colab:
        get = "File > Download > Download .ipynb"
        missing.append(f"Colab did not hand over {name}: get it by {get}, and hand it in, too")
    else:
        return
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        for path, content in found.items():
            packed.writestr(path.as_posix(), content, zipfile.ZIP_DEFLATED)
    print(f"{target}  {target.stat().st_size:,} bytes: {', '.join(path.name for path in found)}")
    print(*[f"✗ {what}" for what in missing] or ["✓ nothing is missing"], sep="\n")
    if files := colab("files"):
        files.download(str(target))


def colab(part):
    """A module of google.colab, or None outside Colab."""
    try:
        return importlib.import_module(f"google.colab.{part}")
    except ImportError:
        return None


def shown_by(message):
    """The notebook with its outputs as Colab's page shows it, a dict; None if it does not answer.

    Colab keeps it in Drive, out of the kernel's sight. message: google.colab._message, whose
    request "get_ipynb" many use, though it is not documented.
    """
    try:
        return message.blocking_request("get_ipynb", request="", timeout_sec=60)["ipynb"]
    except Exception:  # whatever has become of it
        return None


def saved_by_jupyter(name):
    """The notebook with its outputs, a dict; None, and says so, if it is not saved as it was run.

    name: of its file where neither Jupyter nor VS Code tells it.
    """
    shell = get_ipython()
    told = os.environ.get("JPY_SESSION_NAME", ""), shell.user_ns.get("__vsc_ipynb_file__", "")
    path = next((Path(p) for p in told if p.endswith(".ipynb") and Path(p).exists()), Path(name))
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        other = not_of_this_run(notebook["cells"], shell.history_manager.input_hist_raw)
    except OSError:
        other = [f"there is no such file in {Path().resolve()}"]
    except (ValueError, KeyError):
        other = ["it is no notebook"]
    if not other:
        return notebook
    print(f"✗ Nothing is packed yet: {path} is not saved as it was run here ({other[0]}).")
    print("  Save it (Ctrl+S, on a Mac Cmd+S), then run this cell, and this one alone, again.")
    print(
        "  If that does not help: restart the kernel, run all cells, save, and run this one again."
    )
    return None


def not_of_this_run(cells, history):
    """Names the code cells that are saved otherwise than they were run. history: what was run."""
    found = []
    for cell in cells:
        text, number = "".join(cell["source"]).strip(), cell.get("execution_count") or 0
        if cell["cell_type"] != "code" or not text or text.startswith(OWN_CELL):
            continue
        if number >= len(history) or history[number].strip() != text:
            found.append(f"the cell “{first_words(text)}”")
    return found


def left_to_do(cells):
    """What is missing in the cells of a notebook, in words, a list of str."""
    found = []
    counted = any(cell.get("execution_count") for cell in cells)  # Colab may save none
    for cell in cells:
        text = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown" and text.endswith("?*"):
            found.append(f"not answered: “{first_words(text)}”")
        if cell["cell_type"] != "code" or not text or text.startswith(OWN_CELL):
            continue
        outputs = cell.get("outputs", [])
        printed = "".join("".join(output.get("text", "")) for output in outputs)
        if text.startswith("raise NotImplementedError("):
            found.append(f"no code yet: “{first_words(text.partition('(')[2])}”")
        elif any(output.get("output_type") == "error" for output in outputs):
            found.append(f"ended with an error: “{first_words(text)}”")
        elif counted and not cell.get("execution_count") and not outputs:
            found.append(f"not run: “{first_words(text)}”")
        found += [f"a check: {line[2:]}" for line in printed.splitlines() if line[:1] == "✗"]
    return found


def first_words(text):
    """What a cell begins with, less marks."""
    line = text.strip('#@*" \n').splitlines()[0].removeprefix("title ").replace("*", "")
    line = line.partition(" { display")[0].strip('" ')
    return line if len(line) <= 60 else f"{line[:60].rstrip()}…"
