"""make_families.py: small models with made-up weights, of every family and storage type, and their logits by PyPI's
transformers in float64 (torch). Run in this folder: writes families.json, which kit_model.c makes the same models from.

A weight of a float type is (byte - 128) / 128 * scale, exact in all of them; a block type's blocks are bytes, but for
their scales. Byte i of a tensor is the top byte of splitmix64(fnv1a(name) + i). Scales: 1 for the table, 1/4 for the
head, 1/16 for matrices, 1/4 for biases; a norm is 1 + 1/4 of such a number.
"""
import json
import math

import gguf
import numpy as np
import torch
import transformers

T = 40
KEPT = [0, 17, 39]
M = (1 << 64) - 1
# offset of the scale in a block and what it is divided by; the same of the minimum
SCALES = {"Q4_0": (0, 8), "Q4_1": (0, 8, 2, -1), "Q5_0": (0, 16), "Q5_1": (0, 16, 2, -1), "Q8_0": (0, 128), "Q2_K": (80, 24, 82, 8), "Q3_K": (108, 64), "Q4_K": (0, 400, 2, 40),
          "Q5_K": (0, 800, 2, 40), "Q6_K": (208, 1500), "IQ4_NL": (0, 100), "IQ4_XS": (0, 1500)}


def fnv1a(s):
    h = 0xCBF29CE484222325
    for b in s.encode():
        h = (h ^ b) * 0x100000001B3 & M
    return h


def bytes_of(name, n):
    with np.errstate(over="ignore"):
        z = (np.arange(n, dtype=np.uint64) + np.uint64(fnv1a(name))) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((z ^ (z >> np.uint64(31))) >> np.uint64(56)).astype(np.uint8)


def scale_of(name):
    return 1.0 if name == "token_embd.weight" else 0.25 if name == "output.weight" or name.endswith("bias") or "norm" in name else 0.0625


def plain(name, shape):
    x = (bytes_of(name, math.prod(shape)).astype(np.float64) - 128) / 128 * scale_of(name)
    return ((1 + x) if "norm" in name else x).reshape(shape)


def blocks(name, shape, type_name):
    q = gguf.GGMLQuantizationType[type_name]
    size, bytes_each = gguf.GGML_QUANT_SIZES[q]
    n = math.prod(shape) // size
    b = bytes_of(name, n * bytes_each).reshape(n, bytes_each).copy()
    s = SCALES[type_name]
    for at, div in zip(s[0::2], s[1::2]):
        b[:, at:at + 2] = np.frombuffer(np.float16(scale_of(name) / div).tobytes(), np.uint8)
    return gguf.quants.dequantize(b.reshape(shape[0], -1), q).astype(np.float64).reshape(shape)


def tensors(c):
    D, F, V, Q, K, H = c["dim"], c["ff"], c["vocab"], c["heads"] * c["head_dim"], c["kv_heads"] * c["head_dim"], c["head_dim"]
    shapes = {"token_embd.weight": (V, D), "output_norm.weight": (D,)}
    if not c["tied"]:
        shapes["output.weight"] = (V, D)
    for i in range(c["layers"]):
        p = "blk.%d." % i
        shapes |= {p + "attn_norm.weight": (D,), p + "ffn_norm.weight": (D,), p + "attn_q.weight": (Q, D), p + "attn_k.weight": (K, D), p + "attn_v.weight": (K, D),
                   p + "attn_output.weight": (D, Q), p + "ffn_gate.weight": (F, D), p + "ffn_up.weight": (F, D), p + "ffn_down.weight": (D, F)}
        if c["qkv_bias"]:
            shapes |= {p + "attn_q.bias": (Q,), p + "attn_k.bias": (K,), p + "attn_v.bias": (K,)}
        if c.get("all_bias"):
            shapes |= {p + "attn_output.bias": (D,), p + "ffn_gate.bias": (F,), p + "ffn_up.bias": (F,), p + "ffn_down.bias": (D,)}
        if c["arch"] == "qwen3":
            shapes |= {p + "attn_q_norm.weight": (H,), p + "attn_k_norm.weight": (H,)}
    return {n: blocks(n, s, c["type"]) if len(s) == 2 and c["type"] in SCALES else plain(n, s) for n, s in shapes.items()}


HF = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
      "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}


def hf_name(n):
    whole = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight", "output.weight": "lm_head.weight"}
    if n in whole:
        return whole[n]
    _, i, part, kind = n.split(".")
    return "model.layers.%s.%s.%s" % (i, HF[part], kind)


# GGUF's llama has pair i of a head in rows 2i and 2i + 1, transformers in i and i + head_dim / 2
def half_split(w, heads):
    return w.reshape(heads, -1, 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def rope_parameters(c):
    r = {"rope_type": "default", "rope_theta": c["rope_base"]}
    return r | c.get("rope", {})


def logits(c):
    more = {"attention_bias": c["qkv_bias"], "mlp_bias": bool(c.get("all_bias"))} if c["arch"] == "llama" else {}
    if c.get("window"):
        more |= {"sliding_window": c["window"]}
    classes = {"mistral": (transformers.MistralConfig, transformers.MistralForCausalLM), "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM), "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM), "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM)}
    config_class, model_class = classes[c["arch"]]
    config = config_class(vocab_size=c["vocab"], hidden_size=c["dim"], intermediate_size=c["ff"], num_hidden_layers=c["layers"], num_attention_heads=c["heads"], num_key_value_heads=c["kv_heads"],
                          head_dim=c["head_dim"], max_position_embeddings=c["context"], rms_norm_eps=c["eps"], tie_word_embeddings=c["tied"], rope_parameters=rope_parameters(c), attn_implementation="eager",
                          **more)
    model = model_class(config).double().eval()
    state = {}
    for n, w in tensors(c).items():
        if c["format"] == "gguf" and c["arch"] == "llama" and (".attn_q." in n or ".attn_k." in n):
            w = half_split(w, c["heads"] if ".attn_q." in n else c["kv_heads"])
        state[hf_name(n)] = torch.tensor(w.copy())
    missing, extra = model.load_state_dict(state, strict=False)
    assert not extra and set(missing) <= {"lm_head.weight", "model.rotary_emb.inv_freq"}, (missing, extra)
    if c["tied"]:
        model.tie_weights()
    # the rotary module keeps float32 frequencies: make them double, as ours are
    rot = model.model.rotary_emb
    if c.get("rope", {}).get("rope_type", "default") == "default":
        rot.inv_freq = 1.0 / c["rope_base"] ** (torch.arange(0, c["head_dim"], 2, dtype=torch.float64) / c["head_dim"])
    c["rope_freq"] = [float("%.9g" % x) for x in rot.inv_freq.double().tolist()]
    c["rope_scale"] = float("%.9g" % rot.attention_scaling)
    out = model(torch.tensor([c["ids"]])).logits[0].detach().numpy()
    return out


def case(name, arch, type_name="F32", fmt="gguf", **more):
    c = {"name": name, "arch": arch, "type": type_name, "format": fmt, "dim": 128, "ff": 192, "layers": 2, "heads": 4, "kv_heads": 2, "head_dim": 32, "vocab": 48, "context": 64, "eps": 1e-5,
         "rope_base": 10000.0, "tied": arch != "llama", "qkv_bias": arch == "qwen2", "files": 1} | more
    c["ids"] = [int(b) % c["vocab"] for b in bytes_of("ids of " + name, T)]
    return c


LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
LINEAR = {"rope_type": "linear", "factor": 2.0}
WIDE = {"dim": 256, "ff": 256, "heads": 4, "head_dim": 64}
cases = [case("llama-" + t.lower(), "llama", t, **(WIDE if t.endswith("K") or t == "IQ4_XS" else {})) for t in ["F32", "F16", "BF16", *SCALES]]
cases += [
    case("llama-tied", "llama", "F16", tied=True), case("llama-mha", "llama", kv_heads=4), case("llama-linear", "llama", rope=LINEAR), case("llama-yarn", "llama", rope=YARN), case("llama-3", "llama", "Q8_0", rope=LLAMA3, rope_base=500000.0),
    case("llama-split", "llama", "F16", files=3), case("qwen2", "qwen2", "F16"), case("qwen2-q4_0", "qwen2", "Q4_0", kv_heads=1), case("qwen2-q5_k", "qwen2", "Q5_K", **WIDE), case("qwen3", "qwen3", "BF16", head_dim=64), case("qwen3-q6_k", "qwen3", "Q6_K", **WIDE),
    case("llama-safetensors", "llama", "F16", "safetensors"), case("llama-3-safetensors", "llama", "BF16", "safetensors", rope=LLAMA3, rope_base=500000.0, tied=True),
    case("qwen2-shards", "qwen2", "F32", "safetensors", files=3), case("qwen2-yarn", "qwen2", "F16", "safetensors", rope=YARN, tied=False), case("qwen3-safetensors", "qwen3", "BF16", "safetensors", head_dim=64, rope_base=1000000.0),
]
# SmolLM2's shape: three heads to one of keys, rows of few blocks; all biases that llama may have; attention that looks back on 8 positions
SMOL = {"dim": 192, "ff": 256, "heads": 3, "kv_heads": 1, "head_dim": 64, "tied": True}
cases += [
    case("smollm-q4_1", "llama", "Q4_1", **SMOL), case("smollm-q8_0", "llama", "Q8_0", **SMOL), case("smollm-safetensors", "llama", "BF16", "safetensors", **SMOL),
    case("llama-bias-safetensors", "llama", "F32", "safetensors", qkv_bias=True, all_bias=True), case("qwen2-bias-q8_0", "qwen2", "Q8_0", rope=YARN),
    case("qwen3-yarn", "qwen3", "F16", rope=YARN, head_dim=64), case("mistral-window", "mistral", "F32", "safetensors", window=8, tied=False),
]
for c in cases:
    out = logits(c)
    c["rows"] = {str(t): [float("%.7g" % x) for x in out[t]] for t in KEPT}
    c["best"] = [int(i) for i in out.argmax(-1)]
    if c["format"] == "gguf" and c.get("rope", {}).get("rope_type") == "llama3":
        base = 1.0 / c["rope_base"] ** (np.arange(0, c["head_dim"], 2) / c["head_dim"])
        c["freq_factors"] = [float("%.9g" % x) for x in base / np.array(c["rope_freq"])]
    print(c["name"], float(out.std()), out.shape)
with open("families.json", "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
