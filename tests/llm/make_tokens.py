"""make_tokens.py MODEL.gguf OUT: reference ids of the default model's tokenizer on 2,000 strings.

The vocabulary and merges come out of the GGUF file (PyPI: gguf); the tokenizer is PyPI's `tokenizers` with SmolLM2's
pipeline: each digit alone, then GPT-2's words, byte-level BPE. Added tokens count as such (TOK_SPECIAL). A line:
the string as texts.py escapes it, a tab, the ids.
"""
import sys

import gguf
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from texts import escape, texts

fields = gguf.GGUFReader(sys.argv[1]).fields
tokens = fields["tokenizer.ggml.tokens"].contents()
kinds = fields["tokenizer.ggml.token_type"].contents()
merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
vocab = {t: i for i, t in enumerate(tokens)}
tok = Tokenizer(models.BPE(vocab=vocab, merges=merges))
tok.pre_tokenizer = pre_tokenizers.Sequence(
    [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
tok.decoder = decoders.ByteLevel()
tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, kinds) if k == 3])
with open(sys.argv[2], "w", encoding="utf-8", newline="\n") as out:
    for t in texts(2000):
        out.write(escape(t) + "\t" + " ".join(map(str, tok.encode(t, add_special_tokens=False).ids)) + "\n")
