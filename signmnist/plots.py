"""The plots that the notebooks share, in one style and a colour-blind-safe palette."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import confusion_matrix

from signmnist.data import LETTERS

# Okabe and Ito, "Color Universal Design", 2008
BLUE, ORANGE, GREEN, RED, SKY, PINK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
)
STYLE = {
    "axes.grid": True,
    "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, RED, SKY, PINK]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "figure.dpi": 80,
    "figure.titleweight": "bold",
    "font.size": 11,
    "grid.alpha": 0.3,
    "lines.linewidth": 2,
}


def figure(title, rows=1, columns=1, size=(9, 4), banner=""):
    """A titled figure and its axes in the house style; `banner` is printed across its foot."""
    plt.rcParams.update(STYLE)
    fig, axes = plt.subplots(rows, columns, figsize=size, layout="constrained")
    fig.suptitle(title, x=0.01, ha="left")
    if banner:
        fig.supxlabel(banner, color=RED, fontweight="bold", fontsize=11)
    return fig, axes


def show_images(title, images, captions, columns=12, banner=""):
    """A grid of images (n, 28, 28, 1) with a caption under the top of each."""
    rows = max(1, -(-len(images) // columns))
    fig, axes = figure(title, rows, columns, size=(9, 0.5 + 0.98 * rows), banner=banner)
    for ax in np.ravel(axes):
        ax.axis("off")
    for ax, image, caption in zip(np.ravel(axes), images, captions, strict=False):
        ax.imshow(image[..., 0], cmap="gray", vmin=0, vmax=1)
        ax.set_title(caption, fontsize=10, fontweight="normal", loc="center", pad=2)
    plt.show()


def show_lines(title, lines, xlabel, ylabel, banner="", logy=False, ylim=None):
    """Curves with their names written at their right ends. lines: name -> y values from 1."""
    fig, ax = figure(title, banner=banner)
    for name, values in lines.items():
        (line,) = ax.plot(np.arange(1, len(values) + 1), values)
        ax.annotate(
            f" {name}",
            (len(values), values[-1]),
            color=line.get_color(),
            va="center",
            annotation_clip=False,
        )
    ax.set(xlabel=xlabel, ylabel=ylabel, ylim=ylim)
    if logy:
        ax.set_yscale("log")
    ax.margins(x=0.02)
    plt.show()


def show_confusion(title, labels, predictions, banner=""):
    """The confusion matrix: counts, the diagonal greyed so that the errors stand out."""
    matrix = confusion_matrix(labels, predictions, labels=range(len(LETTERS)))
    errors = matrix - np.diag(np.diag(matrix))
    fig, ax = figure(title, size=(7.5, 7), banner=banner)
    ax.imshow(errors, cmap="Oranges", vmin=0, vmax=max(1, errors.max()))
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "0.55" if row == column else "black"
            ax.text(column, row, count, ha="center", va="center", fontsize=8, color=colour)
    ticks = range(len(LETTERS))
    ax.set_xticks(ticks, LETTERS)
    ax.set_yticks(ticks, LETTERS)
    ax.set(xlabel="letter read by the model", ylabel="letter shown")
    ax.grid(False)
    plt.show()


def show_accuracy_against_bytes(title, records, banner=""):
    """Test accuracy against gzip bytes (log scale), each record a point with its name."""
    fig, ax = figure(title, size=(9, 5), banner=banner)
    for i, record in enumerate(sorted(records, key=lambda r: r["bytes_gzip"])):
        x, y = record["bytes_gzip"], 100 * record["accuracy"]
        ax.plot(x, y, "o", color=BLUE, markersize=7)
        ax.annotate(
            f"{record['technique']}\n{x:,} bytes",
            (x, y),
            xytext=(0, 12 if i % 2 else -12),
            textcoords="offset points",
            ha="center",
            va="bottom" if i % 2 else "top",
            fontsize=9,
        )
    ax.set_xscale("log")
    ax.margins(0.15, 0.35)
    ax.set(xlabel="bytes after gzip -9 (log scale)", ylabel="test accuracy, %")
    plt.show()
