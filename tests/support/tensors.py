"""What the scripts share that write oracle files."""
import json
import pathlib
import struct

import numpy as np


def save(path, tensors, meta):
    """A safetensors file, the same bytes at each run (the library's own writer shuffles the header)."""
    header, parts, at = {"__metadata__": meta}, [], 0
    for name, tensor in tensors.items():
        array = np.ascontiguousarray(tensor.detach().numpy())
        kind = {"float64": "F64", "int64": "I64"}[str(array.dtype)]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        parts.append(array.tobytes())
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
