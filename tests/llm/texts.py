"""texts.py: the varied strings that tokenizers are compared on; the same list every time.

Stored strings are one a line, with \\n \\r \\t \\\\ and \\u{HEX} for whatever is not printable or is easily lost.
"""
import random
import unicodedata

PROSE = [
    "The quick brown fox jumps over the lazy dog.", "It's what we'd call a \"first-class\" bug; they'll fix it, I'm sure.",
    "Don't SHOUT: IT'S RUDE! He'll've known, y'all'd better, WE'RE done.", "A naïve café owner's résumé, coöperating über-façade.",
    "In 1984, 3.14159 of 2,718,281 readers (0.000115%) agreed.", "e-mail me @ someone+tag@example.com -- or http://x.org/a?b=c&d=%20#e",
    "Voix ambiguë d'un cœur qui, au zéphyr, préfère les jattes de kiwis.", "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.", "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
    "我能吞下玻璃而不伤身体。今天是2024年5月17日,天气很好!", "いろはにほへと ちりぬるを。ｶﾀｶﾅもＡＢＣ１２３も。", "키스의 고유조건은 입술끼리 만나야 하고",
    "نص حكيم له سر قاطع وذو شأن عظيم ١٢٣٤٥", "דג סקרן שט בים מאוכזב ולפתע מצא חברה", "ऋषियों को सताने वाले दुष्ट राक्षसों १२३", "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า ๑๒๓",
]
CODE = [
    "def f(x: int) -> int:\n    return x ** 2 + 1  # square\n", "for (int i = 0; i < n; ++i) {\n\t\tsum += a[i];\n\t}\n",
    "SELECT * FROM t WHERE a >= 10 AND b != 'x';", "#include <stdio.h>\r\nint main(void){return 0;}\r\n", "<div class=\"a b\">\n  <p>hi&nbsp;there</p>\n</div>",
    "{\"key\": [1, 2.5e-10, null, true], \"s\": \"\\u00e9\\n\"}", "x = lambda *a, **k: (a, k)\n\n\n\nclass A(B):\n\tpass", "$ git commit -am \"fix: don't\" && ls -la | grep '^d'",
    "    if (a && !b || c ^ d) goto end;", "0x1F + 0b1010 - 1_000_000 / 3.0f",
]
EMOJI = "😀 👍🏽 👩‍👩‍👧‍👦 🇩🇪🇯🇵 ❤️ ☃ 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🤷🏾‍♀️ ✨🎉".split(" ")
DIGITS = ["0123456789", "٠١٢٣٤٥٦٧٨٩", "०१२३४५", "௧௨௩", "一二三四五", "²³¹½¼Ⅷⅻ", "𝟎𝟙𝟚", "１２３", "๔๕๖", "1,234.5", "12 34 567 8901", "①⑳㊿"]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", " \n", "\n ", "\u00a0", "\u2003", "\u3000", "\u0085", "\u2028", "\x0b", "\x0c", "\u200b", "\ufeff",
          "\u1680", "\x1c", " " * 8, " " * 17, "\t\t\t", "\n\n\n\n", " \t \n \t "]
CONTROL = [chr(i) for i in list(range(0, 32)) + list(range(127, 160))] + ["\u202e", "\u200d", "\ufffd", "\ufffe", "\ue000", "\U0010ffff", "\U000e0001"]
MARKS = ["e\u0301", "a\u0308\u0323", "n\u0303", "\u1112\u1161\u11ab", "\uac00\u11a8", "\u0344", "o\u031b\u0301", "\u212b", "\ufb01", "\u0958", "q\u0307\u0323"]
PUNCT = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["...", "--", "?!", "'s", "'S", "'ſ", "'ll", "'Ve", "''", "“”", "‘’", "—", "…", "«»", "。", "、", "<|", "|>", "<|im_start|", "</", "￼"]
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<s>", "</s>", "<unk>", "<0x41>", "▁", "Ġ", "Ċ"]


def random_text(rng):
    pools = [PROSE, CODE, EMOJI, DIGITS, SPACES, CONTROL, MARKS, PUNCT, SPECIAL]
    out = []
    for _ in range(rng.randint(1, 9)):
        kind = rng.random()
        if kind < 0.35:
            word = rng.choice(rng.choice(PROSE + CODE).split(" "))
            out.append(rng.choice(["", " ", " ", "\n"]) + word)
        elif kind < 0.45:
            out.append("".join(chr(assigned(rng)) for _ in range(rng.randint(1, 4))))
        elif kind < 0.5:
            out.append(rng.choice("ab 0.\n\t -=") * rng.randint(2, 40))
        else:
            out.append(rng.choice(pools[rng.randint(2, 8)]))
    return "".join(out)


# what Unicode 14 has: libraries differ in the characters that came later
def assigned(rng):
    while True:
        c = rng.choice([rng.randint(0x20, 0x7ff), rng.randint(0x800, 0xffff), rng.randint(0x10000, 0x1ffff)])
        if unicodedata.ucd_3_2_0.category(chr(c)) not in ("Cs", "Cn"):
            return c


def texts(n, seed=2026):
    rng = random.Random(seed)
    out = PROSE + CODE + EMOJI + DIGITS + SPACES + CONTROL + MARKS + PUNCT + SPECIAL
    out += [a + b for a in SPACES for b in ("x", "1", "!", "'s")] + ["x" + a for a in SPACES] + [p * 30 for p in "a 1.!\n"]
    seen = list(dict.fromkeys(t for t in out if t))
    known = set(seen)
    while len(seen) < n:
        t = random_text(rng)
        if t not in known and len(t) < 400:
            known.add(t)
            seen.append(t)
    return seen[:n]


def escape(s):
    out = []
    for c in s:
        if c in "\\\n\r\t":
            out.append({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}[c])
        elif c == " " or (c.isprintable() and unicodedata.combining(c) == 0 and unicodedata.category(c) != "Mn"):
            out.append(c)
        else:
            out.append("\\u{%x}" % ord(c))
    return "".join(out)
