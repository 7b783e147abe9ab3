"""Says in a notebook when a cell gives the name of a helper another meaning."""

from IPython import get_ipython

guarded: dict = {}


def guard(*names):
    """Watches these names of the notebook, whatever they mean now, after each cell from now on."""
    shell = get_ipython()
    if not guarded:
        shell.events.register("post_run_cell", tell_changed)
    guarded.update((name, shell.user_ns[name]) for name in names)


def tell_changed(_):
    """Prints, once each, the guarded names that have another meaning now."""
    now = get_ipython().user_ns
    for name in [name for name, meaning in guarded.items() if now.get(name) is not meaning]:
        print(f"✗ {name} is the name of a helper, which other cells need: name yours otherwise,")
        print("  then run the notebook from the top")
        del guarded[name]
