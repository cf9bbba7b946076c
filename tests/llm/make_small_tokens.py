"""make_small_tokens.py: small tokenizers of every kind, trained on texts.py, and what they make of its strings. Run in this
folder: writes tokenizers/*.json (PyPI: tokenizers), tokenizers/spm.txt (PyPI: sentencepiece), small.tokens.

A line of small.tokens: the string, then for each tokenizer a tab, the number of ids and fnv1a of "ID ID ..".
"""
import io
import os

import sentencepiece as spm
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from texts import CODE, PROSE, escape, texts

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
corpus = (PROSE + CODE) * 3 + texts(600, seed=5)
byte_level = lambda regex: pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex)
split = lambda r: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r), "isolated"), byte_level(False)])
kinds = {"gpt2": byte_level(True), "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(True)]), "llama3": split(LLAMA3), "qwen2": split(QWEN2)}
os.makedirs("tokenizers", exist_ok=True)
made = {}
for name, pre in kinds.items():
    t = Tokenizer(models.BPE(ignore_merges=name == "llama3"))
    t.pre_tokenizer, t.decoder = pre, decoders.ByteLevel()
    if name == "qwen2":
        t.normalizer = normalizers.NFC()
    t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=460, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.add_tokens([AddedToken("<think>", special=False, normalized=False), AddedToken("  x", special=False, normalized=False, lstrip=True, rstrip=True)])
    if name == "llama3":
        t.post_processor = processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
    made[name] = t
    t.save("tokenizers/%s.json" % name, pretty=False)

model = io.BytesIO()
spm.SentencePieceTrainer.train(sentence_iterator=iter([l for t in PROSE[:9] * 3 + CODE * 3 for l in t.split("\n") if l and "\0" not in l]), model_writer=model, model_type="bpe", vocab_size=600, byte_fallback=True, normalization_rule_name="identity",
                               remove_extra_whitespaces=False, character_coverage=0.98, minloglevel=2)
sp = spm.SentencePieceProcessor(model_proto=model.getvalue())
pieces = [(sp.id_to_piece(i), sp.get_score(i), 2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 6 if sp.is_byte(i) else 1) for i in range(sp.vocab_size())]
with open("tokenizers/spm.txt", "w", encoding="utf-8", newline="\n") as f:
    for p, s, k in pieces:
        f.write("%s\t%g\t%d\n" % (escape(p), s, k))
vocab = {p: i for i, (p, _, _) in enumerate(pieces)}
normal = {p for p, _, k in pieces if k == 1}
merges = [(p[:i], p[i:]) for p, s, k in sorted(pieces, key=lambda x: -x[1]) if k == 1 for i in range(1, len(p)) if p[:i] in normal and p[i:] in normal]
for name in ("spm-prepend", "spm-first"):
    t = Tokenizer(models.BPE(vocab=vocab, merges=merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    if name == "spm-prepend":
        t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.add_special_tokens([AddedToken(p, special=True, normalized=False) for p, _, k in pieces if k in (2, 3)])
    made[name] = t
    t.save("tokenizers/%s.json" % name, pretty=False)


def digest(ids):
    h = 0xCBF29CE484222325
    for b in " ".join(map(str, ids)).encode():
        h = (h ^ b) * 0x100000001B3 & (1 << 64) - 1
    return "%d:%016x" % (len(ids), h)


with open("small.tokens", "w", encoding="utf-8", newline="\n") as f:
    for s in texts(900):
        ids = [t.encode(s, add_special_tokens=False).ids for t in made.values()]
        ids.append(sp.encode(s) if "\0" not in s else [])
        f.write(escape(s) + "".join("\t" + (digest(i) if i or "\0" not in s else "-") for i in ids) + "\n")
print(list(made), [t.get_vocab_size() for t in made.values()], len(pieces), len(merges))
