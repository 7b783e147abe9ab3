"""Takes the plots of the report out of the executed notebooks."""

import base64
from pathlib import Path

from toolkit.files import replacing
from tools.notebooks import read_notebook

# name of the picture -> notebook and title of the plot
PICTURES = {
    "q1_models": ("q1", "Accuracy against bytes: quantization"),
    "q2_models": ("q2", "Accuracy against bytes: clustering"),
    "q2_parts": ("q2", "The headline file after gzip -9n"),
    "q3_models": ("q3", "Accuracy against bytes: pruning"),
    "q3_layers": ("q3", "Accuracy when one layer alone is pruned, not fine-tuned"),
    "q4_quantizers": (
        "q4",
        "Accuracy after one epoch: by bits a weight, and of the 4-bit quantizers",
    ),
}


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
        path = Path(folder, f"{notebook}.ipynb")
        content = picture(path, title) if path.exists() else None
        if content:
            with replacing(Path(folder, "figures", f"{name}.png")) as temporary:
                temporary.write_bytes(content)
        elif path.exists():
            print(f'{path}: no plot "{title}" for the report')
