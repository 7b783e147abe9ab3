"""Shared weights as a codebook, in the form that TFLite Micro reads."""

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from toolkit.files import replacing
from toolkit.tflite import in_litert, quiet


def with_codebooks(path, target):
    """Stores the weights of an int8 .tflite file as codebooks where that is smaller.

    One table of values a tensor, and for each weight the number of its value in as few bits as
    these need, by the package of TFLite Micro, whose operator DECODE takes it back; LiteRT does
    not know it. Writes `target` and returns {tensor's index: (bits, weights)} of those stored so.
    Where there is no TFLite Micro, none are. Raises ModelError for a file that LiteRT cannot load.
    """
    content = Path(path).read_bytes()
    stored: dict = {}
    smallest = content
    with in_litert(f"{path}: LiteRT cannot load it"):
        interpreter = Interpreter(str(path))
    for detail in interpreter.get_tensor_details():
        if detail["dtype"] != np.int8 or len(detail["shape"]) < 2:
            continue
        try:
            weights = interpreter.get_tensor(detail["index"])
        except ValueError:  # what is computed has no value yet
            continue
        bits = max(1, int(np.ceil(np.log2(len(np.unique(weights))))))
        if bits > 7:
            continue
        tried = stored | {detail["index"]: (bits, weights.size)}
        if len(smaller := compressed(content, tried)) < len(smallest):
            smallest, stored = smaller, tried
    with replacing(target) as temporary:
        temporary.write_bytes(smallest)
    return stored


def compressed(content, tables):
    """The bytes of a .tflite file with codebooks. tables: tensor's index -> (bits, ...).

    Where there is no TFLite Micro, as on Windows, the bytes as they are.
    """
    try:
        from tflite_micro.tensorflow.lite.micro.compression import compress, spec
    except ImportError:
        return content
    wanted = [
        spec.Tensor(0, index, [spec.LookUpTableCompression(bits, spec.PerTensor())])
        for index, (bits, *_) in tables.items()
    ]
    with quiet():
        return bytes(compress(content, wanted))
