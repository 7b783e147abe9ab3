"""What the calls of Keras and its like give: layers, models, losses and converters."""

from dataclasses import replace

from grader.mistakes.values import OTHER, UNSURE, Value, listed

WRAP = {"prune_low_magnitude": {"pruning"}, "cluster_weights": {"clustering"}}
STRIP = {"strip_pruning": {"pruning"}, "strip_clustering": {"clustering"}}
PASSING = {"Dropout", "Flatten", "Reshape", "GlobalAveragePooling2D", "ActivityRegularization"}
LOSSES = {
    *("SparseCategoricalCrossentropy", "CategoricalCrossentropy"),
    *("sparse_categorical_crossentropy", "categorical_crossentropy"),
}
ACTIVATION = {  # layers that take an activation -> at which place, the last at none
    **{"Dense": 1, "QDense": 1, "Activation": 0, "QActivation": 0},
    **dict.fromkeys(("Conv2D", "QConv2D", "SeparableConv2D", "DepthwiseConv2D"), 99),
}
SAME = {"clone_model", "quantize_model", "quantize_apply", "quantize_annotate_model"}


def activation(value):
    """What an activation makes of the last layer: "softmax", "linear" or ""."""
    name = value.const if value.kind in ("const", "name") else ""
    if name is None or name == "linear":
        return "linear"
    return "softmax" if "softmax" in str(name) and "log" not in str(name) else ""


def wrapped(call):
    """A model or a layer with wrappers put on or taken off."""
    wrappers = call.first.wrapped - STRIP.get(call.name, set()) | WRAP.get(call.name, set())
    return Value("net", act=call.first.act, wrapped=wrappers)


def layer(call):
    given = call.option("activation", ACTIVATION[call.name])
    if given is None:
        return Value("net", act="" if "**" in call.options else "linear")
    return Value("net", act=activation(given))


def model(call):
    made = Value("net")
    layers = call.option("outputs", 1) or call.option("layers", 0) or listed([])
    for each in layers.parts() or [layers]:
        add_layer(made, each)
    return made


def add_layer(net, last):
    net.act = net.act if last.act == "pass" else last.act
    net.wrapped |= last.wrapped | last.partly


def added(call):
    """`add` of a Sequential."""
    if call.finder.doubt or call.first.kind == "unsure":
        call.base.act = ""
    else:
        add_layer(call.base, call.first)
    return OTHER


def cloned(call):
    """The same model, or what the `clone_function` makes of its layers."""
    made = replace(call.first) if call.first.kind == "net" else Value("net")
    if "clone_function" in call.options:
        each = call.apply(call.options["clone_function"], Value("net"))
        made.wrapped = each.wrapped | each.partly
    return made


def loss(call):
    """A loss of probabilities, unless it is said to take logits."""
    given = call.option("from_logits", 2 if call.name.islower() else 0)
    if given is None:
        return Value("loss", logits=None if "**" in call.options else False)
    return Value("loss", logits=given.const if given.kind == "const" else None)


def compiled(call):
    given = call.option("loss", 1) or Value()
    given = call.apply(given, UNSURE, UNSURE) if given.call else given
    named = given.kind in ("const", "name") and given.const in LOSSES
    call.finder.loss(call.base, False if named else given.logits, call.node)
    return OTHER


def trained(call):
    """`fit`, `predict` and the like, of whatever takes images."""
    if call.base.kind == "net" or len(call.args) > 1:
        call.finder.inputs(call.options.get("x", call.first), call.node)
    return OTHER


def saved(call):
    """`save` of a model, as a method or a function."""
    net, path, *_ = [call.base, *call.given, UNSURE, UNSURE][call.base.kind != "net" :]
    if isinstance(path.const, str):
        call.saved[path.const] = replace(net)
    return OTHER


def converted(call):
    given = call.given[-1] if call.given else UNSURE
    call.finder.conversion(call.saved.get(given.key(), given), call.node)
    return OTHER


def called(call):
    """What a layer or a model gives, of what it is called on."""
    act = call.first.act if call.base.act == "pass" else call.base.act
    return Value("net", act=act, wrapped=call.base.wrapped | call.first.wrapped)


FUNCTIONS = {
    **dict.fromkeys(WRAP | STRIP, wrapped),
    **dict.fromkeys(ACTIVATION, layer),
    **dict.fromkeys(PASSING, lambda call: Value("net", act="pass")),
    **dict.fromkeys(("softmax", "Softmax"), lambda call: Value("net", act="softmax")),
    **dict.fromkeys(("Sequential", "Model", "Functional"), model),
    **dict.fromkeys(SAME, cloned),
    **dict.fromkeys(LOSSES, loss),
    **dict.fromkeys(("save", "save_model"), saved),
    "load_model": lambda call: replace(call.saved.get(call.first.key(), Value("net"))),
    **dict.fromkeys(("from_keras_model", "from_saved_model"), converted),
    "from_concrete_functions": converted,
}
METHODS = {
    ("net", "add"): added,
    ("net", "compile"): compiled,
    **dict.fromkeys((("net", "save"), ("net", "export")), saved),
    **{("", name): trained for name in ("fit", "evaluate", "predict", "predict_on_batch")},
}
