"""The plots that the notebooks share, in one style and a colour-blind-safe palette."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from adjustText import adjust_text
from IPython import get_ipython
from IPython.core.pylabtools import print_figure
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator
from sklearn.metrics import confusion_matrix

# Okabe and Ito, "Color Universal Design", 2008
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
RED, SKY, PINK = "#D55E00", "#56B4E9", "#CC79A7"
STYLE: dict[Any, Any] = {
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
    if shell := get_ipython():
        shell.display_formatter.formatters["image/png"].for_type(Figure, with_alt_text)
    return fig, axes


def with_alt_text(fig):
    """A figure for the notebook: its PNG in base64, and metadata with a text for screen readers."""
    axes = [ax for ax in fig.axes if ax.axison]
    labels = [("across", ax.get_xlabel()) for ax in axes] + [("up", ax.get_ylabel()) for ax in axes]
    named = dict.fromkeys(f"{way}: {label}" for way, label in labels if label)
    alt = ". ".join([fig.get_suptitle(), *named]).replace("\n", " ")
    return print_figure(fig, base64=True), {"alt": alt}


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
    """Errors by epoch on a log scale. accuracies: name -> shares, from epoch 1."""
    errors = {
        name: (np.arange(1, len(values) + 1), 100 * (1 - np.array(values)))
        for name, values in accuracies.items()
    }
    ylabel = "images read wrongly, % (log scale)"
    show_lines(title, errors, "epoch", ylabel, banner, yscale="log")


def show_confusion(title, names, labels, predictions, banner="", noun="class"):
    """The confusion matrix of the classes `names`: counts, the errors set off from the diagonal."""
    matrix = confusion_matrix(labels, predictions, labels=range(len(names)))
    errors = matrix - np.diag(np.diag(matrix))
    _, ax = figure(title, size=(7.5, 7), banner=banner)
    # the darkest orange is left out: black figures stand on it
    ax.imshow(np.ma.masked_equal(errors, 0), "Oranges", vmin=0, vmax=2 * max(1, errors.max()))
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "0.55" if row == column else "black"
            ax.text(column, row, count, ha="center", va="center", fontsize=8, color=colour)
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel=f"{noun} read by the model", ylabel=f"{noun} shown")
    ax.grid(False)
    plt.show()


def show_weights(title, before, after, banner="", xlabel="weight", yscale="linear"):
    """Histograms of kernels above the values that they share afterwards, a column a layer.

    before, after: dicts from the layer's name to its weights, arrays of one size.
    """
    _, axes = figure(title, 2, len(before), size=(9, 4.5), banner=banner)
    foot = 0.5 if yscale == "log" else 0
    for (top, bottom), name in zip(axes.T, before, strict=True):
        top.hist(np.ravel(before[name]), bins=60, color=BLUE)
        values, counts = np.unique(np.round(after[name], 6), return_counts=True)
        bottom.vlines(values, foot, counts, color=ORANGE, linewidth=2.5)
        top.plot(values, np.full(len(values), foot), "|", color=ORANGE, markersize=12)
        top.set_title(name, fontsize=11)
        bottom.set_title(f"{len(values)} values", fontsize=11, color=ORANGE)
        top.set(yscale=yscale, ylim=(foot, None))
        top.minorticks_off()
        bottom.set(yscale=yscale, ylim=(foot, None), xlabel=xlabel)
        bottom.sharex(top)
    scale = "" if yscale == "linear" else f" ({yscale})"
    axes[0, 0].set_ylabel(f"weights, before{scale}")
    axes[1, 0].set_ylabel(f"weights, after{scale}")
    plt.show()


def show_lines(title, lines, xlabel, ylabel, banner="", xscale="linear", yscale="linear"):
    """Lines with their names at the right, in the order in which they end there.

    lines: name -> (x values, y values).
    """
    fig, ax = figure(title, banner=banner)
    names = sorted(lines, key=lambda name: -lines[name][1][-1])
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale)
    for name, colour in zip(names, plt.cm.viridis(np.linspace(0, 0.8, len(names))), strict=True):
        x, y = lines[name]
        ax.plot(x, y, "o-" if len(x) < 20 else "-", color=colour, markersize=4, label=name)
    fig.legend(loc="outside right center", frameon=False, labelcolor="linecolor")
    if xscale == "log":
        ax.set_xticks(x, [f"{value:g}" for value in x])
    elif np.asarray(x).dtype.kind == "i":
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if yscale == "log":
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    plt.show()


def show_masks(title, kernels, banner=""):
    """Which weights are zero (white): each kernel as a matrix of inputs by outputs."""
    _, axes = figure(title, 1, len(kernels), size=(9, 3.2), banner=banner)
    for ax, (name, kernel) in zip(axes, kernels.items(), strict=True):
        matrix = np.reshape(kernel, (-1, kernel.shape[-1])) != 0
        ax.imshow(matrix, cmap="Blues", vmin=0, vmax=1.3, aspect="auto", interpolation="nearest")
        ax.set_title(f"{name}\n{1 - matrix.mean():.0%} zeros", fontsize=10)
        ax.set_xlabel("output channel")
        ax.grid(False)
    axes[0].set_ylabel("input channel and position")
    plt.show()


def show_parts(title, files, banner=""):
    """Where the bytes of files go: a stacked bar each. files: name -> part -> bytes."""
    _, ax = figure(title, size=(9, 1.4 + 0.55 * len(files)), banner=banner)
    colours = dict(
        zip(next(iter(files.values())), (BLUE, SKY, GREEN, "0.6", ORANGE, PINK, RED), strict=False)
    )
    labels = []
    for row, parts in enumerate(files.values()):
        left, total = 0, sum(parts.values())
        for part, size in parts.items():
            ax.barh(row, size, left=left, color=colours[part], label=None if row else part)
            if size > 0.08 * max(sum(other.values()) for other in files.values()):
                ax.text(left + size / 2, row, f"{part}\n{size:,.0f}", ha="center", va="center",
                        fontsize=9)  # fmt: skip
            left += size
        labels.append(total)
        ax.text(left, row, f"  {total:,.0f}", va="center", fontweight="bold")
    ax.set_yticks(range(len(files)), files)
    ax.invert_yaxis()
    ax.margins(x=0.1)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("bytes")
    ax.legend(ncols=len(colours), loc="lower left", bbox_to_anchor=(-0.1, 1), frameon=False,
              fontsize=9, handlelength=1, columnspacing=1)  # fmt: skip
    plt.show()


def show_accuracy_against_bytes(title, records, banner="", floor=None):
    """Test accuracy against gzip bytes (log scales), each record a point with its name, if any.

    The line is the Pareto front: for each size the best accuracy that fits into it. Accuracies
    are spread as their odds are (a logit axis); 100 % has no place there and is drawn at 99.99 %.
    floor: bytes of a file without information, drawn as a vertical line.
    """
    records = sorted(records, key=lambda record: (record["bytes_gzip"], -record["accuracy"]))
    x = [record["bytes_gzip"] for record in records]
    y = [min(record["accuracy"], 0.9999) for record in records]
    fig, ax = figure(title, size=(9, 5), banner=banner)
    ax.set(xlabel="bytes after gzip (log scale)", ylabel="test accuracy, % (logit scale)")
    ax.set(xscale="log", yscale="logit")
    ax.step(x, np.maximum.accumulate(y), where="post", color=SKY, linewidth=1.5)
    ax.plot(x, y, "o", color=BLUE, markersize=7)
    if floor:
        ax.axvline(floor, color=RED, linewidth=1.5)
        ax.text(floor, 0.98, f" all weights equal:\n {floor:,} bytes", color=RED, fontsize=9,
                va="top", transform=ax.get_xaxis_transform())  # fmt: skip
    ax.margins(0.12, 0.25)
    shares = 1 - np.outer(10.0 ** -np.arange(6), [0.5, 0.2, 0.1]).ravel()
    low, high = ax.get_ylim()
    ticks = [share for share in shares if low < share < high]
    ax.set_yticks(ticks, [f"{100 * share:g}" for share in ticks])
    ax.minorticks_off()
    names = [
        ax.text(*place, f"{record['technique']}\n{record['bytes_gzip']:,}", fontsize=9, ha="center")
        for *place, record in zip(x, y, records, strict=True)
        if record["technique"]
    ]
    fig.canvas.draw()  # lays the axes out, on which the names then find their places
    line = {"arrowstyle": "-", "color": "0.6"}
    adjust_text(names, x, y, ax=ax, expand=(1.15, 1.5), force_text=(0.3, 0.8),
                force_static=(0.4, 0.8), arrowprops=line)  # fmt: skip
    plt.show()
