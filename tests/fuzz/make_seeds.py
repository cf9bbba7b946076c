"""make_seeds.py: seeds of the fuzzers for model files and tokenizers: small whole models in GGUF (PyPI: gguf, numpy) and
as safetensors, and texts. Run in this folder."""
import json
import os
import struct

import gguf
import numpy as np

D, FF, HEADS, KV, HD = 32, 32, 2, 1, 16
WORDS = ["<s>", "</s>", "a", "b", "ab", "Ġ", "Ġa", "<|im_start|>"]
rng = np.random.default_rng(1)


def put(path, data):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def model_gguf(arch, qtype, spm=False, extra=(), split=None, bias=False):
    path = "/tmp/seed.gguf"
    w = gguf.GGUFWriter(path, arch, use_temp_file=False)
    w.add_block_count(1), w.add_context_length(64), w.add_embedding_length(D), w.add_feed_forward_length(FF)
    w.add_head_count(HEADS), w.add_head_count_kv(KV), w.add_layer_norm_rms_eps(1e-5), w.add_rope_freq_base(10000.0)
    w.add_key_length(HD), w.add_value_length(HD)
    words = ["<unk>", "<s>", "</s>", "▁", "a", "b", "ab", "▁ab", "<0x41>"] if spm else WORDS
    w.add_tokenizer_model("llama" if spm else "gpt2")
    if not spm:
        w.add_tokenizer_pre({"qwen2": "qwen2", "qwen3": "qwen2"}.get(arch, "llama-bpe"))
        w.add_token_merges(["a b", "Ġ a"])
    w.add_token_list(words)
    w.add_token_types([2, 3, 3, 1, 1, 1, 1, 1, 6] if spm else [3, 3, 1, 1, 1, 1, 1, 3])
    if spm:
        w.add_token_scores([-float(i) for i in range(len(words))])
    w.add_bos_token_id(1 if spm else 0), w.add_eos_token_id(2 if spm else 1)
    w.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
    for f in extra:
        f(w)

    def tensor(name, *shape):
        if len(shape) == 1:
            w.add_tensor(name, np.ones(shape, np.float32))
            return
        x = rng.standard_normal(shape).astype(np.float32)
        if qtype == gguf.GGMLQuantizationType.F16:
            w.add_tensor(name, x.astype(np.float16))
        else:
            w.add_tensor(name, gguf.quants.quantize(x, qtype), raw_dtype=qtype)

    tensor("token_embd.weight", len(words), D)
    tensor("output_norm.weight", D)
    p = "blk.0."
    for name, shape in (("attn_norm", (D,)), ("ffn_norm", (D,)), ("attn_q", (HEADS * HD, D)), ("attn_k", (KV * HD, D)), ("attn_v", (KV * HD, D)),
                        ("attn_output", (D, HEADS * HD)), ("ffn_gate", (FF, D)), ("ffn_up", (FF, D)), ("ffn_down", (D, FF))):
        tensor(p + name + ".weight", *shape)
    if bias:
        for name, n in (("attn_q", HEADS * HD), ("attn_k", KV * HD), ("attn_v", KV * HD)):
            tensor(p + name + ".bias", n)
    if arch == "qwen3":
        tensor(p + "attn_q_norm.weight", HD), tensor(p + "attn_k_norm.weight", HD)
    w.write_header_to_file(), w.write_kv_data_to_file(), w.write_tensors_to_file(), w.close()
    with open(path, "rb") as f:
        return f.read()


Q = gguf.GGMLQuantizationType
yarn = (lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.YARN), lambda w: w.add_rope_scaling_factor(4.0), lambda w: w.add_rope_scaling_orig_ctx_len(16))
whole = model_gguf("llama", Q.Q4_0)
put("corpus/gguf/llama-q4_0", whole)
put("corpus/gguf/llama-yarn", model_gguf("llama", Q.Q4_0, extra=yarn))
put("corpus/gguf/llama-spm", model_gguf("llama", Q.Q4_1, spm=True))
put("corpus/gguf/qwen2", model_gguf("qwen2", Q.Q5_0, bias=True))
put("corpus/gguf/qwen3", model_gguf("qwen3", Q.Q5_1))
put("corpus/gguf/cut", whole[:2000])

T = {"version": "1.0", "added_tokens": [{"id": 7, "content": "<|im_start|>", "special": True, "lstrip": False, "rstrip": True}], "normalizer": {"type": "NFC"},
     "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}| ?\\w+|\\s+"}, "behavior": "Isolated", "invert": False},
                                                             {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}]},
     "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]},
     "model": {"type": "BPE", "unk_token": None, "byte_fallback": False, "ignore_merges": True, "vocab": {w: i for i, w in enumerate(WORDS)}, "merges": ["a b", ["Ġ", "a"]]}}
T_SPM = {"added_tokens": [], "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
         "model": {"type": "BPE", "byte_fallback": True, "unk_token": "<unk>", "vocab": {"<unk>": 0, "<0x41>": 1, "▁": 2, "a": 3, "▁a": 4}, "merges": ["▁ a"]}}
CONFIG = {"model_type": "llama", "hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64,
          "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True, "hidden_act": "silu",
          "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}}


def safetensors():
    L = "model.layers.0."
    shapes = {"model.embed_tokens.weight": (8, 4), "model.norm.weight": (4,), L + "input_layernorm.weight": (4,), L + "post_attention_layernorm.weight": (4,),
              L + "self_attn.q_proj.weight": (4, 4), L + "self_attn.k_proj.weight": (2, 4), L + "self_attn.v_proj.weight": (2, 4), L + "self_attn.o_proj.weight": (4, 4),
              L + "mlp.gate_proj.weight": (4, 4), L + "mlp.up_proj.weight": (4, 4), L + "mlp.down_proj.weight": (4, 4)}
    header, at, data = {"__metadata__": {"format": "pt"}}, 0, b""
    for name, shape in shapes.items():
        b = rng.standard_normal(shape).astype(np.float16).tobytes()
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + len(b)]}
        at, data = at + len(b), data + b
    h = json.dumps(header).encode()
    h += b" " * (-len(h) % 8)
    return struct.pack("<Q", len(h)) + h + data, list(shapes)


weights, names = safetensors()
files = {"model.safetensors": weights, "model.safetensors.index.json": json.dumps({"weight_map": {n: "model.safetensors" for n in names}}).encode(),
         "config.json": json.dumps(CONFIG).encode(), "tokenizer.json": json.dumps(T).encode(),
         "tokenizer_config.json": json.dumps({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "chat_template": "{{ 1 }}", "add_bos_token": True}).encode(),
         "generation_config.json": json.dumps({"eos_token_id": [1, 7]}).encode(), "chat_template.jinja": b"{{ messages[0].content }}"}
base = b"".join(n.encode() + b" %d\n" % len(b) + b for n, b in files.items() if n != "model.safetensors.index.json")
put("safetensors.base", base)
for i, (n, b) in enumerate(files.items()):
    put("corpus/safetensors/" + n, bytes([i]) + b)
put("corpus/safetensors/spm", bytes([3]) + json.dumps(T_SPM).encode())
for i, t in enumerate(["Hello, world's 123 tests\n\n\n  the thing ", "你好 e\u0301 é 'S 12345", "<|im_start|>the</s>  ab abab", "\x00\x80\xff <0x41> a▁b"]):
    for k in range(7):
        put("corpus/tokenizer/%d-%d" % (i, k), bytes([k if i % 2 else k + 70]) + t.encode())
