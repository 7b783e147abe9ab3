"""The LiteRT Quantizer, successor of the converter's quantization: from one .tflite to another."""

import warnings

from litert_quantizer import Quantizer
from litert_quantizer.qtyping import QuantGranularity, TFLOperationName

from toolkit.files import replacing
from toolkit.tflite import open_tflite, quiet


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
