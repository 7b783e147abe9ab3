"""python /tmp/exp.py 'call(...)' 'call(...)' ... ; results to /tmp/exp.jsonl"""

import os, sys, json, time, tempfile

sys.path.insert(0, "/work/main")
os.chdir("/work/main")
from pathlib import Path
import numpy as np
import tensorflow_model_optimization as tfmot
from signmnist.baseline import *
from signmnist.baseline import LARGE_BATCH
from signmnist.data import load_sign_mnist
from signmnist.splits import group_split
from signmnist.perturb import survival
from toolkit.grid import grid_network, plain_network, whole_numbers
from toolkit.int4 import to_int4
from toolkit.packing import repack
from toolkit.tflite import *
from toolkit.training import *
from toolkit.anatomy import value_entropy

data = load_sign_mnist()
cache = Path("/tmp/split.npz")
if not cache.exists():
    tr, va = group_split(data.y_train, data.train_groups)
    np.savez(cache, tr=tr, va=va)
z = np.load(cache)
tr, va = z["tr"], z["va"]
x, y = data.x_train[tr], data.y_train[tr]
vx, vy = data.x_train[va], data.y_train[va]
TAG = os.environ.get("TAG", "A")
teacher = load_or_train(f"/tmp/held/{TAG}-teacher.keras", lambda: train_accurate(x, y, 20))


def compact(epochs=5, lr=3e-2, spec=None, tag=""):
    return load_or_train(
        f"/tmp/held/{TAG}-compact{tag}-{epochs}-{lr}.keras",
        lambda: train_compact_(epochs, lr, spec),
    )


def train_compact_(epochs, lr, spec):
    tf.keras.utils.set_random_seed(0)
    m = build_cnn(**(spec or COMPACT))
    return m, distil(m, x, teacher, epochs, lr, 0, "compact")


def clone(m):
    c = tf.keras.models.clone_model(m)
    c.set_weights(m.get_weights())
    return c


rows = np.random.default_rng(0).choice(len(x), 300, replace=False)
rep = lambda: ([x[r : r + 1]] for r in rows)


def conv(m, kind):
    c = tf.lite.TFLiteConverter.from_keras_model(m)
    c.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind != "dyn":
        c.representative_dataset = rep
        c.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        c.inference_input_type = c.inference_output_type = tf.int8
    if kind == "int8one":
        c._experimental_disable_per_channel = True
        c._experimental_disable_per_channel_quantization_for_dense_layers = True
    p = "/tmp/exp.tflite"
    with quiet():
        b = c.convert()
    return b


def val(b):
    open("/tmp/expv.tflite", "wb").write(b)
    return count_correct(predict_tflite("/tmp/expv.tflite", vx), vy) / len(vy)


def out(**k):
    print("\n##", json.dumps(k), flush=True)
    open("/tmp/exp.jsonl", "a").write(json.dumps({"tag": TAG} | k) + "\n")


def tune(m, epochs, lr, aug=augment, cb=(), name="t", seed=0):
    compile_cnn(m, len(x), epochs, lr)
    return train(
        m,
        x,
        y,
        epochs=epochs,
        name=name,
        seed=seed,
        batch_size=BATCH_SIZE,
        augment=aug,
        callbacks=cb,
    )


def base():
    s = survival(lambda q: predict(teacher, q), vx, vy)
    out(what="teacher", acc=s["as they are"], worst=min(s.values()), worst_name=min(s, key=s.get))


def book_cluster(counts, epochs=3, lr=1e-3, init="LINEAR", mild=False):
    I = getattr(tfmot.clustering.keras.CentroidInitialization, init)
    names = [l.name for l in teacher.layers if hasattr(l, "kernel")]
    cnt = dict(zip(names, counts))

    def wrap(l):
        return (
            tfmot.clustering.keras.cluster_weights(
                l, number_of_clusters=cnt[l.name], cluster_centroids_init=I
            )
            if hasattr(l, "kernel")
            else l
        )

    src = clone(teacher)
    m = tf.keras.models.clone_model(src, clone_function=wrap)
    t = time.time()
    tune(m, epochs, lr, augment_mildly if mild else augment)
    t = time.time() - t
    m = tfmot.clustering.keras.strip_clustering(m)
    r = {}
    for k in ("dyn", "int8"):
        b = conv(m, k)
        r[k] = [gzip_size(b), val(b)]
    out(
        what="book_cluster",
        counts=counts,
        epochs=epochs,
        lr=lr,
        init=init,
        mild=mild,
        keras=accuracy(m, vx, vy),
        s=t,
        **r,
    )


def book_prune(sparsity, epochs=6, lr=3e-3, least=1500, mild=False, end=0.6):
    P = tfmot.sparsity.keras
    n = epochs * (len(x) // 128)
    e = int(end * n)
    sp = dict(sparsity) if isinstance(sparsity, dict) else None

    def wrap(l):
        if hasattr(l, "kernel") and np.prod(l.kernel.shape) > least:
            s = sp[l.name] if sp else sparsity
            return P.prune_low_magnitude(
                l, pruning_schedule=P.PolynomialDecay(0, s, 0, e, frequency=max(1, e // 20))
            )
        return l

    m = tf.keras.models.clone_model(clone(teacher), clone_function=wrap)
    t = time.time()
    tune(m, epochs, lr, augment_mildly if mild else augment, [P.UpdatePruningStep()])
    t = time.time() - t
    m = P.strip_pruning(m)
    r = {}
    for k in ("dyn", "int8", "int8one"):
        b = conv(m, k)
        r[k] = [gzip_size(b), val(b)]
    out(
        what="book_prune",
        sparsity=sparsity,
        epochs=epochs,
        lr=lr,
        least=least,
        mild=mild,
        keras=accuracy(m, vx, vy),
        s=t,
        **r,
    )


def grid(
    penalty,
    epochs=8,
    lr=2e-2,
    sparsity=0,
    least=3000,
    distill=False,
    mild=True,
    avg=False,
    coarse=1,
    tries=500,
):
    P = tfmot.sparsity.keras
    m = grid_network(teacher, penalty)
    cb = []
    n = epochs * (len(x) // 128)
    if sparsity:
        b_, e_ = int(0.4 * n), int(0.8 * n)
        sch = P.PolynomialDecay(sparsity / 2, sparsity, b_, e_, frequency=max(1, b_ // 20))
        m = tf.keras.models.clone_model(
            m,
            clone_function=lambda l: (
                P.prune_low_magnitude(l, pruning_schedule=sch)
                if hasattr(l, "kernel") and np.prod(l.kernel.shape) > least
                else l
            ),
        )
        cb = [P.UpdatePruningStep()]
    t = time.time()
    tune(m, epochs, lr, augment_mildly if mild else augment, cb)
    t = time.time() - t
    if sparsity:
        m = P.strip_pruning(m)
    b = repack(
        to_int4(conv(plain_network(m, avg), "int8one"), coarse, fixed_size=True),
        tries,
        fixed_size=True,
    )
    w = np.concatenate([a.ravel() for a in whole_numbers(m)])
    out(
        what="grid",
        penalty=penalty,
        epochs=epochs,
        lr=lr,
        sparsity=sparsity,
        mild=mild,
        size=gzip_size(b),
        acc=val(b),
        keras=accuracy(m, vx, vy),
        zeros=float(np.mean(w == 0)),
        bits=value_entropy(w),
        s=t,
    )


def race(penalty, epochs=12, lr=6e-3, seed=0, sparsity=0, spec=None, tag="", cep=5):
    P = tfmot.sparsity.keras
    c = compact(cep, spec=spec, tag=tag)
    m = grid_network(c, penalty, dense_bias=False)
    cb = []
    if sparsity:
        n = epochs * (8 * len(x) // LARGE_BATCH)
        b_, e_ = int(0.4 * n), int(0.8 * n)
        sch = P.PolynomialDecay(sparsity / 2, sparsity, b_, e_, frequency=max(1, b_ // 20))
        m = tf.keras.models.clone_model(
            m,
            clone_function=lambda l: (
                P.prune_low_magnitude(l, pruning_schedule=sch)
                if hasattr(l, "kernel") and np.prod(l.kernel.shape) > 300
                else l
            ),
        )
        cb = [P.UpdatePruningStep()]
    t = time.time()
    distil(m, x, teacher, epochs, lr, seed, "race", cb)
    t = time.time() - t
    if sparsity:
        m = P.strip_pruning(m)
    b = repack(
        to_int4(conv(plain_network(m, True), "int8one"), 16, fixed_size=True), 3000, fixed_size=True
    )
    open(f"/tmp/held/race-{tag}-{penalty}-{epochs}-{lr}-{seed}-{sparsity}.tflite", "wb").write(b)
    w = np.concatenate([a.ravel() for a in whole_numbers(m)])
    out(
        what="race",
        tag_=tag,
        penalty=penalty,
        epochs=epochs,
        lr=lr,
        seed=seed,
        sparsity=sparsity,
        compact=accuracy(c, vx, vy),
        size=gzip_size(b),
        acc=val(b),
        keras=accuracy(m, vx, vy),
        n=len(w),
        bits=value_entropy(w),
        zeros=float(np.mean(w == 0)),
        s=t,
    )


for call in sys.argv[1:]:
    try:
        eval(call)
    except Exception as e:
        import traceback

        traceback.print_exc()
