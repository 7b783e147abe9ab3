"""A file as a picture: the QR code that holds its bytes."""

import numpy as np
import segno

MOST = 2953  # bytes in the largest QR code, with the least error correction (ISO/IEC 18004)


def qr_code(content):
    """The QR code of some bytes: bool (n, n), True where it is dark, with its margin.

    Any reader that returns bytes gives `content` back. Raises ValueError for more than MOST.
    """
    if len(content) > MOST:
        raise ValueError(f"A QR code holds {MOST:,} bytes, not {len(content):,}.")
    code = segno.make(content, error="L", boost_error=False, mode="byte")
    return np.pad(np.array(code.matrix, bool), code.default_border_size)
