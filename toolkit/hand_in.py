"""Packs what a student hands in, and brings the models of an earlier question along."""

import json
import os
import zipfile
from pathlib import Path, PurePosixPath

from IPython import get_ipython

from toolkit.files import DataError, naming, replacing

OWN_CELL = "pack("  # how the cell begins that packs
HAND_OVER = (
    "ask for the notebook by File > Download > Download .ipynb and hand it in beside the zip"
)


def bring(model, archive):
    """Sees to it that models/<model> is there: it is, or comes from the zip of an earlier question.

    archive: name of that zip, which lies beside the notebook, also as "q1 (1).zip"; Colab asks for
    it. Raises DataError where there is none.
    """
    target = Path("models", model)
    if target.exists():
        print(f"{target} is here")
        return
    pattern, remedy = f"{Path(archive).stem}*.zip", f"The last cell of {Path(archive).stem}.ipynb"
    if not list(Path().glob(pattern)) and (files := colab("files")):
        print(f"Choose {archive}, which {remedy[0].lower()}{remedy[1:]} made:")
        files.upload()
    for path in sorted(Path().glob(pattern), key=os.path.getmtime, reverse=True):
        with naming(path, f"{remedy} makes it: take it from there anew"):
            packed = zipfile.ZipFile(path)
            places = [name for name in packed.namelist() if PurePosixPath(name).name == model]
            content = packed.read(places[0]) if places else b""
        if content:
            with replacing(target) as temporary:
                temporary.write_bytes(content)
            print(f"{target}, from {path}")
            return
    raise DataError(
        f"{target} is not here, nor {archive} with it. {remedy} makes that zip: put it beside this "
        "notebook (in Colab: by the folder symbol on the left), then run this cell again"
    )


def pack(question, *models, papers=()):
    """Writes <question>.zip with the notebook as it was run, models and a report.

    Says what is missing, and offers the zip for download in Colab. models: names of files in
    models/. papers: names that the report may have, beside the notebook.
    """
    target, cells = Path(f"{question}.zip"), []
    found = {
        path: path.read_bytes()
        for path in (Path("models", name) for name in models)
        if path.exists()
    }
    found |= {path: path.read_bytes() for path in map(Path, papers) if path.exists()}
    missing = [
        f"models/{name} is not there" for name in models if Path("models", name) not in found
    ]
    if papers and not any(Path(name) in found for name in papers):
        missing.append(f"{' or '.join(papers)} is not there: put your report beside this notebook")
    name = f"{question}.ipynb"
    if colab("_message"):
        notebook = shown_in_colab()
        if not notebook:
            missing.insert(0, f"Colab did not hand over {name}: {HAND_OVER}")
    else:
        notebook = saved_by_jupyter(name)
        if not notebook:
            return
    if notebook:
        cells = notebook["cells"]
        found[Path(name)] = json.dumps(notebook, indent=1, ensure_ascii=False).encode()
    with replacing(target) as temporary, zipfile.ZipFile(temporary, "w") as packed:
        for path, content in found.items():
            packed.writestr(path.as_posix(), content, zipfile.ZIP_DEFLATED)
    print(f"{target}  {target.stat().st_size:,} bytes: {', '.join(map(str, found))}")
    for line in [*missing, *left_to_do(cells)]:
        print(f"✗ {line}")
    if not missing and not left_to_do(cells):
        print("✓ nothing is missing")
    if files := colab("files"):
        files.download(str(target))


def colab(part):
    """A module of google.colab, or None outside Colab."""
    try:
        return getattr(__import__("google.colab", fromlist=[part]), part, None)
    except ImportError:
        return None


def shown_in_colab():
    """The notebook with its outputs as Colab's page shows it, a dict; None if it does not answer.

    The kernel's machine has no file of it. `get_ipynb` is no public interface of Colab.
    """
    try:
        answer = colab("_message").blocking_request("get_ipynb", request="", timeout_sec=60)
        return answer["ipynb"]
    except Exception:  # whatever has become of it
        return None


def saved_by_jupyter(name):
    """The notebook with its outputs as it was saved, a dict; None, and says so, if it was not.

    name: of its file where neither Jupyter nor VS Code tells it.
    """
    shell = get_ipython()
    told = [os.environ.get("JPY_SESSION_NAME", ""), shell.user_ns.get("__vsc_ipynb_file__", "")]
    path = next((Path(p) for p in told if p.endswith(".ipynb") and Path(p).exists()), Path(name))
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        unsaved = not_of_this_run(notebook["cells"], shell.history_manager.input_hist_raw)
    except OSError:
        unsaved = [f"there is no {path} in {Path().resolve()}: call the notebook {name}"]
    except (ValueError, KeyError):
        unsaved = [f"{path} is no notebook"]
    if not unsaved:
        return notebook
    print(f"✗ nothing is packed yet: {path} is not saved as it was run here ({unsaved[0]}).")
    print("  Save it (Ctrl+S, on a Mac Cmd+S), then run this cell, and only this one, again.")
    print("  If that does not help, restart the kernel, run all cells and save before this one.")
    return None


def not_of_this_run(cells, history):
    """Names of the code cells that a kernel did not run as they are saved. history: its inputs."""
    found = []
    for cell in cells:
        text, number = "".join(cell["source"]).strip(), cell.get("execution_count") or 0
        if cell["cell_type"] != "code" or not text or text.startswith(OWN_CELL):
            continue
        if number >= len(history) or history[number].strip() != text:
            found.append(f"“{first_words(text)}”")
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
            task = text.splitlines()[1].strip().strip('"')
            found.append(f"no code yet: {task}")
        elif any(output.get("output_type") == "error" for output in outputs):
            found.append(f"an error in “{first_words(text)}”")
        elif counted and not cell.get("execution_count") and not outputs:
            found.append(f"not run: “{first_words(text)}”")
        found += [line[2:] for line in printed.splitlines() if line.startswith("✗")]
    return found


def first_words(text):
    """The first line of a cell, less marks and what is too long."""
    line = text.lstrip("#* ").splitlines()[0].replace("*", "")
    return line if len(line) <= 60 else f"{line[:60]}…"
