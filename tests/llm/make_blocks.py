"""make_blocks.py: two blocks of each storage type and what PyPI's gguf reads them as -> blocks.txt. A line: the type, the
bytes in hex, and the numbers as float32 bits in hex."""
import gguf
import numpy as np

TYPES = "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS".split()
HALVES = {"F16": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0]}
rng = np.random.default_rng(7)
with open("blocks.txt", "w") as f:
    for name in TYPES:
        q = gguf.GGMLQuantizationType[name]
        n, size = gguf.GGML_QUANT_SIZES[q]
        blocks = 2 if n > 1 else 32
        b = rng.integers(0, 256, (blocks, size), dtype=np.uint8)
        if name == "F32":
            b = np.frombuffer(rng.standard_normal(blocks).astype(np.float32).tobytes(), np.uint8).reshape(blocks, size).copy()
        for at in HALVES.get(name, []):  # any finite number as a scale, a subnormal one too
            h = rng.standard_normal(blocks).astype(np.float16)
            h[1] = np.float16(3e-6)
            b[:, at:at + 2] = np.frombuffer(h.tobytes(), np.uint8).reshape(blocks, 2)
        if name == "BF16":
            b[:, 1] &= 0xBF  # no infinities
        x = gguf.quants.dequantize(b.reshape(-1) if name not in ("F32", "F16") else b.reshape(-1).view(np.float32 if name == "F32" else np.float16), q).astype(np.float32).reshape(-1)
        f.write(name + " " + b.tobytes().hex() + " " + x.tobytes().hex() + "\n")
