"""The plots that the notebooks share, in one style and a colour-blind-safe palette."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator
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
    _, axes = figure(title, rows, columns, size=(9, 0.5 + 0.98 * rows), banner=banner)
    for ax in np.ravel(axes):
        ax.axis("off")
    for ax, image, caption in zip(np.ravel(axes), images, captions, strict=False):
        ax.imshow(image[..., 0], cmap="gray", vmin=0, vmax=1)
        ax.set_title(caption, fontsize=10, fontweight="normal", loc="center", pad=2)
    plt.show()


def show_errors(title, accuracies, banner=""):
    """Errors by epoch on a log scale, named at the right. accuracies: name -> shares from 1."""
    _, ax = figure(title, banner=banner)
    for name, values in accuracies.items():
        errors = 100 * (1 - np.array(values))
        (line,) = ax.plot(np.arange(1, len(errors) + 1), errors, marker="o", markersize=4)
        end = (len(errors), errors[-1])
        ax.annotate(f"  {name}", end, color=line.get_color(), va="center", annotation_clip=False)
    ax.set(xlabel="epoch", ylabel="images read wrongly, % (log scale)", yscale="log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter("{x:g}")
    plt.show()


def show_confusion(title, labels, predictions, banner=""):
    """The confusion matrix: counts, the diagonal greyed so that the errors stand out."""
    matrix = confusion_matrix(labels, predictions, labels=range(len(LETTERS)))
    errors = matrix - np.diag(np.diag(matrix))
    _, ax = figure(title, size=(7.5, 7), banner=banner)
    ax.imshow(np.ma.masked_equal(errors, 0), cmap="Oranges", vmin=0, vmax=max(1, errors.max()))
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
    _, ax = figure(title, size=(9, 5), banner=banner)
    near, heights = [], {}
    for record in sorted(records, key=lambda record: record["bytes_gzip"]):
        # labels of points that nearly coincide go down and up in turn, ever further out
        x = record["bytes_gzip"]
        near = [other for other in near if x < 1.5 * other] + [x]
        heights[record["id"]] = (-1) ** len(near) * (24 + 34 * ((len(near) - 1) // 2))
    for record in sorted(records, key=lambda record: -abs(heights[record["id"]])):
        x, y = record["bytes_gzip"], 100 * record["accuracy"]
        ax.plot(x, y, "o", color=BLUE, markersize=7)
        ax.annotate(
            f"{record['technique']}\n{x:,} bytes",
            (x, y),
            xytext=(0, heights[record["id"]]),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            arrowprops={"arrowstyle": "-", "color": "0.7", "shrinkB": 4},
        )
    ax.set_xscale("log")
    ax.margins(0.12, 0.4)
    ax.set_yticks([tick for tick in ax.get_yticks() if tick <= 100])
    ax.set(xlabel="bytes after gzip -9 (log scale)", ylabel="test accuracy, %")
    plt.show()
