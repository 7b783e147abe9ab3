import types

import toolkit.guard


def test_a_name_that_gets_another_meaning_is_told_once(monkeypatch, capsys):
    hooks: list = []
    events = types.SimpleNamespace(register=lambda when, hook: hooks.append((when, hook)))
    shell = types.SimpleNamespace(user_ns={"outputs": len, "sizes": max, "mine": 1}, events=events)
    monkeypatch.setattr(toolkit.guard, "get_ipython", lambda: shell)
    monkeypatch.setattr(toolkit.guard, "guarded", {})
    toolkit.guard.guard("outputs")
    toolkit.guard.guard("sizes")
    ((when, hook),) = hooks
    assert when == "post_run_cell"
    shell.user_ns["mine"] = 2
    hook(None)
    assert capsys.readouterr().out == ""
    shell.user_ns["outputs"] = "a tensor"
    hook(None)
    assert capsys.readouterr().out.startswith("✗ outputs is the name of a helper")
    hook(None)
    assert capsys.readouterr().out == ""
