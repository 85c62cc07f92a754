"""How the Open Inference Protocol names element types, read and written."""

import numpy as np

from gradient_service.wire.tensor_codec import BFLOAT16, BOOLEAN, FLOAT16, FLOAT32, FLOAT64, INTEGERS, ElementType
from gradient_service.wire.tensor_fields import TypeNames

SIGNS = {"i": "INT", "u": "UINT"}

ELEMENT_TYPES: dict[str, ElementType] = {
    "FP16": FLOAT16,
    "BF16": BFLOAT16,
    "FP32": FLOAT32,
    "FP64": FLOAT64,
    "BOOL": BOOLEAN,
    **{SIGNS[name[0]] + name[1:]: element for name, element in INTEGERS.items()},
}
WRITTEN_NAMES = {
    np.dtype(np.float32): "FP32",
    np.dtype(np.float64): "FP64",
    np.dtype(np.int64): "INT64",
    np.dtype(np.uint8): "UINT8",
}
TYPE_NAMES = TypeNames(
    ELEMENT_TYPES, {"number": "FP16, BF16, FP32 or FP64", "integer": "an integer type", "boolean": "BOOL"}
)
