#!/usr/bin/env python3
"""An independent forward pass of Llama, Qwen2 and Qwen3 models in float64, on the weights that a GGUF file holds.

    pip install numpy gguf
    python3 reference.py MODEL.gguf IDS.txt OUT.ref         what the tests keep
    python3 reference.py MODEL.gguf IDS.txt --compare=L.npy  figures of `llm logits --tokens=IDS.txt --out=L.npy`

IDS.txt: token ids on one line (`llm tokenize -m MODEL -f TEXT`). OUT.ref holds what tests need of the logits, row t after
tokens 0 .. t, not the logits: a line a row, "LOGSUMEXP TARGET ID:LOGIT ..." - the log of the sum of their exponentials,
the logit of the token that follows in the text ('-' in the last row), the 12 greatest, the greatest first, and 4 others,
of ids (7919 t + 6151 k) mod vocabulary.
"""
import argparse
import gguf
import numpy as np


def load(path):
    r = gguf.GGUFReader(path)
    meta = {k: f.contents() for k, f in r.fields.items() if len(f.types) and f.types[0] != gguf.GGUFValueType.ARRAY}
    return meta, {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64) for t in r.tensors}


def rms(x, w, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def rope(x, freq, interleaved):  # x: [T, heads, d]
    angle = np.arange(x.shape[0])[:, None, None] * freq
    c, s = np.cos(angle), np.sin(angle)
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else np.split(x, 2, -1)
    y = np.empty_like(x)
    if interleaved:
        y[..., 0::2], y[..., 1::2] = a * c - b * s, a * s + b * c
    else:
        y = np.concatenate([a * c - b * s, a * s + b * c], -1)
    return y


def forward(meta, w, ids):
    arch = meta["general.architecture"]
    p = lambda k, d=None: meta.get(arch + "." + k, d)
    H, eps = p("attention.head_count"), p("attention.layer_norm_rms_epsilon")
    HK = p("attention.head_count_kv", H)
    D = p("attention.key_length", p("embedding_length") // H)
    freq = p("rope.freq_base", 10000.0) ** (-np.arange(0, D, 2) / D)
    x, T = w["token_embd.weight"][ids], len(ids)
    causal = np.triu(np.full((T, T), -np.inf), 1)
    for i in range(p("block_count")):
        g = lambda n, kind="weight": w.get(f"blk.{i}.{n}.{kind}")
        lin = lambda n, v: v @ g(n).T + (0 if g(n, "bias") is None else g(n, "bias"))
        h = rms(x, g("attn_norm"), eps)
        q, k, v = (lin(n, h).reshape(T, -1, D) for n in ("attn_q", "attn_k", "attn_v"))
        if g("attn_q_norm") is not None:
            q, k = rms(q, g("attn_q_norm"), eps), rms(k, g("attn_k_norm"), eps)
        q, k = rope(q, freq, arch == "llama"), rope(k, freq, arch == "llama")
        k, v = np.repeat(k, H // HK, 1), np.repeat(v, H // HK, 1)
        s = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(D) + causal
        s = np.exp(s - s.max(-1, keepdims=True))
        s /= s.sum(-1, keepdims=True)
        x = x + lin("attn_output", np.einsum("hij,jhd->ihd", s, v).reshape(T, -1))
        h = rms(x, g("ffn_norm"), eps)
        gate = lin("ffn_gate", h)
        x = x + lin("ffn_down", gate / (1 + np.exp(-gate)) * lin("ffn_up", h))
    return rms(x, w["output_norm.weight"], eps) @ w.get("output.weight", w["token_embd.weight"]).T


def logsumexp(l):
    most = l.max(-1, keepdims=True)
    return most + np.log(np.exp(l - most).sum(-1, keepdims=True))


def compare(l, path, ids):
    p, q = l - logsumexp(l), np.load(path).astype(np.float64)
    q -= logsumexp(q)
    kl = (np.exp(p) * (p - q)).sum(-1)
    cost = [-x[np.arange(len(ids) - 1), ids[1:]].mean() for x in (p, q)]
    print("top-1 %.4f, KL mean %.3g, greatest %.3g, perplexity %.4f, is %+.4f %% off"
          % ((p.argmax(-1) == q.argmax(-1)).mean(), kl.mean(), kl.max(), np.exp(cost[0]), 100 * np.expm1(cost[1] - cost[0])))


def keep(l, path, ids):
    lse = logsumexp(l)[:, 0]
    with open(path, "w") as f:
        for t, row in enumerate(l):
            ks = list(np.argsort(-row, kind="stable")[:12]) + [(7919 * t + 6151 * k) % len(row) for k in range(4)]
            target = "%.6f" % row[ids[t + 1]] if t + 1 < len(ids) else "-"
            f.write("%.6f %s %s\n" % (lse[t], target, " ".join("%d:%.5f" % (i, row[i]) for i in ks)))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("model"), ap.add_argument("ids"), ap.add_argument("out", nargs="?"), ap.add_argument("--compare")
    a = ap.parse_args()
    ids = [int(t) for t in open(a.ids).read().split()]
    l = forward(*load(a.model), ids)
    if a.out:
        keep(l, a.out, ids)
    if a.compare:
        compare(l, a.compare, ids)


main()
