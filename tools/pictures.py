"""The plots of README and report: one of all models, others out of the executed notebooks."""

import base64
from pathlib import Path

import matplotlib

from signmnist.recipes import RACE_97, RACE_ACCURATE, SIZE_RACE
from toolkit.files import replacing
from toolkit.plots import BLUE, ORANGE, figure, show_accuracy_against_bytes
from tools.notebooks import notebook_path, read_notebook

# name of the picture -> notebook and title of the plot
PICTURES = {
    "q1_beyond": ("q1", "Errors of the baseline beyond its augmentation"),
    "q4_quantizers": ("q4", "The first convolution: a fixed step, and one for each channel"),
    "size_race_code": ("size_race", "A network that reads signs"),
}
ALL_MODELS = "all_models"  # the picture that is drawn from the records


def picture(path, title):
    """The PNG of the plot with this title in the executed notebook at `path`, or None."""
    for cell in read_notebook(path).cells:
        if cell.cell_type == "code" and f'"{title}"' in cell.source:
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    return base64.b64decode(output.data["image/png"])
    return None


def write_pictures(folder):
    """Writes folder/figures/*.png from the notebooks that there are in `folder`."""
    for name, (notebook, title) in PICTURES.items():
        path = notebook_path(f"{notebook}.py", folder)
        content = picture(path, title) if path.exists() else None
        if content:
            with replacing(Path(folder, "figures", f"{name}.png")) as temporary:
                temporary.write_bytes(content)
        elif path.exists():
            print(f'{path}: no plot "{title}" for the report')


def save_plot(folder, name):
    """Writes the current plot to folder/figures/<name>.png and closes it."""
    with replacing(Path(folder, "figures", f"{name}.png")) as temporary:
        matplotlib.pyplot.savefig(temporary, format="png", metadata={"Software": None})
    matplotlib.pyplot.close()


def draw_models(records, folder, named, banner=""):
    """Draws the accuracy of all records against their bytes, on log scales, into folder/figures/.

    named: the ids of those whose names stand beside their points.
    """
    matplotlib.use("agg")
    points = [one if one["id"] in named else one | {"technique": ""} for one in records]
    show_accuracy_against_bytes("Accuracy against bytes of all models", points, banner)
    save_plot(folder, ALL_MODELS)


PUBLISHED = SIZE_RACE, RACE_97, RACE_ACCURATE
TRIED = {  # name of a series -> recipes of signmnist, and whether they have a network of their own
    "networks of its own": (("SIZE_RACE", "RACE_97"), True),
    "question 1's network": (("RACE_ACCURATE", "RACE_97", "CLUSTERED_GRID"), False),
}


def draw_trials(trials, folder):
    """Draws the trials of the size race into folder/figures/, those of published recipes filled."""
    matplotlib.use("agg")
    _, ax = figure("The size race: trials on held-out photos", size=(9, 5))
    for colour, (label, (names, own)) in zip((BLUE, ORANGE), TRIED.items(), strict=True):
        found = [
            trial
            for trial in trials
            if trial["recipe"].removeprefix("signmnist.") in names
            and (own == ("network" in trial["settings"]) or trial["recipe"].endswith("SIZE_RACE"))
        ]
        reached = [trial["figures"]["int4"] for trial in found]
        faces = [colour if trial["settings"] in PUBLISHED else "none" for trial in found]
        size = [one["bytes_gzip"] for one in reached]
        read = [100 * one["accuracy"] for one in reached]
        ax.scatter(size, read, edgecolors=colour, facecolors=faces, label=label)
    ax.axhline(90, color="0.5", linewidth=1)
    ax.set(xlabel="bytes after gzip", ylabel="held-out photos read, %")
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.legend(loc="lower right")
    save_plot(folder, "size_race_trials")
