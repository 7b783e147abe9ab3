"""The LiteRT Quantizer, successor of the converter's quantization: from one .tflite to another."""

import tempfile
import warnings
from pathlib import Path

from litert_quantizer import Quantizer
from litert_quantizer.qtyping import QuantGranularity, TFLOperationName

from toolkit.compression import convert, stripped
from toolkit.files import replacing
from toolkit.tflite import gzip_size, open_tflite, quiet


def quantize(float_file, path, images=None, weights=8, activations=8, one_scale=False):
    """Quantizes a float .tflite file and writes the new one to `path`, which it returns.

    images: float32 (n, ...), to calibrate with; without any, activations stay float. weights: bits
    of each, with a scale a channel or, if `one_scale`, a tensor. activations: bits, 8 or 16; the
    input and the output have them too.
    """
    quantizer = Quantizer(str(float_file))
    granularity = QuantGranularity.TENSORWISE if one_scale else QuantGranularity.CHANNELWISE
    every = ".*", TFLOperationName.ALL_SUPPORTED  # layers by regular expression, operators
    if images is None:
        quantizer.add_dynamic_config(*every, weights, granularity)
    else:
        quantizer.add_static_config(*every, activations, weights, granularity)
    (name,) = open_tflite(float_file).get_signature_list()["serving_default"]["inputs"]
    with quiet(), warnings.catch_warnings(action="ignore"):
        # one batch: of several, the smallest and largest values would be averaged
        ranges = quantizer.calibrate({"serving_default": [{name: images}]})
        result = quantizer.quantize(ranges or None, enable_progress_report=False)
    with replacing(path) as temporary:
        temporary.write_bytes(result.quantized_model)
    return path


def four_bit_file(model, path, images):
    """Writes a Keras model as a .tflite file with weights of 4 bits, one scale a tensor, no names.

    images: float32 (n, ...), with which activations of 8 bits are calibrated. Returns the bytes
    after gzip by step.
    """
    with tempfile.TemporaryDirectory() as folder:
        whole = convert(model, Path(folder, "float.tflite"))
        small = quantize(whole, Path(folder, "4_bits.tflite"), images, 4, 8, one_scale=True)
        made = {"float": whole, "4 bits": small, "without names": stripped(small, path)}
        return {step: gzip_size(Path(file).read_bytes()) for step, file in made.items()}
