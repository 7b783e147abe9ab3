"""The LiteRT Quantizer, successor of the converter's quantization: from one .tflite to another."""

import warnings

from litert_quantizer import Quantizer
from litert_quantizer.qtyping import QuantGranularity, TFLOperationName

from toolkit.files import replacing
from toolkit.tflite import open_tflite, quiet


def quantize(float_file, path, images, weights=8, activations=8, one_scale=False):
    """Quantizes a float .tflite file and writes the new one to `path`, which it returns.

    images: float32 (n, ...), to calibrate with. weights: bits of each, with a scale a channel or,
    if `one_scale`, a tensor. activations: bits, 8 or 16; the input and the output have them too.
    """
    (name,) = open_tflite(float_file).get_signature_list()["serving_default"]["inputs"]
    quantizer = Quantizer(str(float_file))
    granularity = QuantGranularity.TENSORWISE if one_scale else QuantGranularity.CHANNELWISE
    every = ".*", TFLOperationName.ALL_SUPPORTED
    quantizer.add_static_config(*every, activations, weights, granularity)
    with quiet(), warnings.catch_warnings(action="ignore"):
        # one batch: of several, the smallest and largest values would be averaged
        ranges = quantizer.calibrate({"serving_default": [{name: images}]})
        result = quantizer.quantize(ranges, enable_progress_report=False)
    with replacing(path) as temporary:
        temporary.write_bytes(result.quantized_model)
    return path
