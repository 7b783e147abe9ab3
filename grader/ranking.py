"""The ranking of hand-ins by the assignment's scores."""

import csv

import pandas as pd
from tabulate import tabulate

from grader.names import plain, printable
from toolkit.files import replacing

# what is ranked: by its bytes at 90 % and more, or by its accuracy
RANKED = {
    "Q2 bytes": "sign_mnist_clustered.tflite",
    "Q3 bytes": "sign_mnist_pruned.tflite",
    "Q4 accuracy": "sign_mnist_qkeras_4bit.tflite",
}
GOAL, BITS = 0.9, 4
MEASURED, PRINTED = "measured", "printed, not measured"


def ranked(title, file, against, notebook):
    """(score, how) of a File in the ranking `title`: what counts, None if it is not ranked, and
    for an accuracy whether it was measured or printed, or "".

    against: why the file counts for nothing, or "". notebook: that of question 4.
    """
    if not title.endswith("accuracy"):
        return (file.size if not against and file.share >= GOAL else None), ""
    if not against and 0 < file.bits <= BITS:
        return file.share, MEASURED
    share = notebook.said.get("printed")
    if share is None or notebook.problem or notebook.said.get("stubs"):
        return None, ""
    return share, PRINTED


def ranking(scores):
    """Scores of several hand-ins (dict by name) as a DataFrame with a rank for each, best first.

    The smallest bytes and the largest accuracy have rank 1; who has no score shares the last
    rank. The order is that of the sum of the three ranks.
    """
    table = pd.DataFrame.from_dict(scores, orient="index", columns=list(RANKED), dtype=float)
    ranks = []
    for title in RANKED:
        ranks.append(f"{title.split()[0]} rank")
        table[ranks[-1]] = (
            table[title]
            .rank(method="min", ascending=not title.endswith("accuracy"))
            .fillna(len(table))
            .astype(int)
        )
        if not title.endswith("accuracy"):
            table[title] = table[title].astype("Int64")
    table["sum of ranks"] = table[ranks].sum(axis=1)
    table["Q4 is"] = [scores[name].get("Q4", "") for name in table.index]
    return table.rename_axis("hand-in").sort_values("sum of ranks", kind="stable")


def write_ranking(path, table):
    """Writes a ranking as CSV."""
    with replacing(path) as temporary:
        table.rename(index=plain).to_csv(temporary, quoting=csv.QUOTE_NONNUMERIC)


def shown(table):
    """A ranking as text."""
    table = table.rename(index=printable)
    for title in RANKED:
        form = "{:.2%}" if title.endswith("accuracy") else "{:,.0f}"
        table[title] = ["-" if pd.isna(value) else form.format(value) for value in table[title]]
    align = ["left", *["right"] * len(table.columns)]
    return tabulate(table.reset_index(), "keys", showindex=False, disable_numparse=True,
                    colalign=align)  # fmt: skip
