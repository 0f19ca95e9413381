"""How text, formulas and code fill a slide: sentences, and how high and wide things are."""

import itertools
import re

# A slide is 1280 × 720 units; these are what is left of it for text, and the sizes of type.
WIDTH, HEIGHT = 1180, 560
BODY, MATH, CODE, GAP = 30, 34, 26, 14
SMALLEST_MATH, SMALLEST_CODE = 22, 20
ZOOMS = (1.4, 1.3, 1.2, 1.1, 1.0, 0.94)  # type grows where there is room; never below 28 ...
TABLE_ZOOMS = (1.1, 1.0, 0.94, 0.87, 0.8)  # ... but in a large table
WORDS = 75  # more on one slide is read by nobody
CAPTION = 210  # characters with a figure
CODE_LINES = 8
BREAK = r" \\[4pt] "
FEW = 18  # fewer say too little
LEANS = (
    r"(Its?|They|This|These|That|So|But|Then|Or|And|Hence|Because|Such|Both|Neither|Each|One is"
    r"|For it|If it|There)\b"
)


# ------------------------------------------------------------------ text


def count_words(text: str) -> int:
    """Return the number of words; a formula counts as one."""
    return len(re.sub(r"\$[^$]+\$", "x", text).split())


def sentences(text: str) -> list[str]:
    """Return the sentences of a paragraph. No cut is made inside a formula, code or bold words."""
    kept = []

    def hide(match):
        kept.append(match[0])
        return f"\0{len(kept) - 1}\0"

    text = re.sub(r"\$[^$]+\$|`[^`]+`|\*\*.+?\*\*", hide, " ".join(text.split()))
    ends = r"(?<=[.?!])[)\"”*_]*\s+(?=[\"“(*_]*[A-Z\0])"
    cuts = [m.end() for m in re.finditer(ends, text)]
    # Bold words that end a sentence ("**Why?** Because") hide its stop: look into what is hidden.
    for m in re.finditer(r"\0(\d+)\0\s+(?=[\"“(*_]*[A-Z\0])", text):
        if re.search(r"[.?!:][\"”]?\*\*$", kept[int(m[1])]):
            cuts.append(m.end())
    edges = [0, *sorted(set(cuts)), len(text)]
    pieces = [text[a:b].strip() for a, b in itertools.pairwise(edges)]
    return [re.sub(r"\0(\d+)\0", lambda m: kept[int(m[1])], p) for p in pieces if p]


def claims(every: list[str], wanted: set[int] = frozenset()) -> set[int]:
    """Return which sentences of a paragraph go on the slide: those with bold words, and `wanted`.

    One that leans on the sentence before it ("It is called ...") brings that sentence, a question
    what answers it, and a few words alone bring their neighbours.
    """
    chosen = {i for i, sentence in enumerate(every) if "**" in sentence} | wanted
    for i in sorted(chosen):
        while i and (re.match(LEANS, every[i]) or every[i - 1].strip("*_").endswith("?")):
            i -= 1
            chosen.add(i)
    if chosen and min(chosen) == 1 and count_words(every[0]) < 8:
        chosen.add(0)
    for i in range(1, len(every)):
        if i - 1 in chosen and _wants_more(every[i - 1]):
            chosen.add(i)
    while chosen - wanted and sum(count_words(every[i]) for i in chosen) < FEW:
        near = [i for i in (min(chosen) - 1, max(chosen) + 1) if 0 <= i < len(every)]
        if not near:
            break
        chosen.add(near[0])
    return chosen


def _wants_more(sentence: str) -> bool:
    bare = sentence.replace("*", "").rstrip(')"”')
    return bare.endswith(("?", ":")) or count_words(bare) < 6


def runs(every: list[str], chosen: set[int]) -> list[str]:
    """Return the chosen sentences; those that follow each other in one paragraph."""
    found: list[str] = []
    for i in sorted(chosen):
        if i - 1 in chosen:
            found[-1] += f" {every[i]}"
        else:
            found.append(every[i])
    return found


def heads(items: str, whole: bool = False) -> list[str]:
    """Return each item of a list, cut after a sentence where it is long, unless it is `whole`."""
    marks = re.split(r"^(?=[-*] |\d+\. )", items, flags=re.M)
    found = []
    for item in filter(str.strip, marks):
        mark, text = re.match(r"([-*]|\d+\.) +(.*)", item, flags=re.S).groups()
        parts = sentences(text)
        if count_words(text) > 24 and not whole:
            parts = parts[: 2 if count_words(parts[0]) < 8 else 1]
        found.append(f"{'-' if mark in '-*' else mark} {' '.join(parts)}")
    return found


# ------------------------------------------------------------------ how large things are


def tex_width(tex: str) -> float:
    """Return about how wide a displayed equation is, in em."""
    tex = re.sub(r"\\(begin|end)\{(aligned|gathered|cases|array)\}(\{[lcr]+\})?|&", " ", tex)
    rows = re.split(r"\\\\(?:\[[^\]]*\])?", tex)
    return max(_row_width(row) for row in rows)


def _row_width(tex: str) -> float:
    atom = r"\{((?:[^{}]|\{[^{}]*\})*)\}"
    for _ in range(4):  # a fraction is as wide as the wider of its parts
        tex = re.sub(r"\\[dt]?frac\s*(\w)\s*(\w)", r"\1", tex)
        tex = re.sub(r"\\[dt]?frac" + atom + atom, lambda m: max(m[1], m[2], key=_row_width), tex)
        tex = re.sub(
            r"\\underbrace" + atom + "_" + atom,
            lambda m: m[1] if _row_width(m[1]) > 0.7 * _row_width(m[2]) else m[2],
            tex,
        )
    width = 0.0
    for word in re.findall(r"\\(?:text|textstyle|operatorname)\{([^{}]*)\}", tex):
        width += 0.47 * len(word)
    tex = re.sub(r"\\(?:text|operatorname)\{[^{}]*\}", "", tex)
    tex = re.sub(r"[_^](\\[A-Za-z]+|\{[^{}]*\}|.)", lambda m: "~" * len(_glyphs(m[1])), tex)
    return width + sum(map(_glyph_width, _glyphs(tex)))


def _glyph_width(glyph: str) -> float:
    """Return about how wide a sign is, in em."""
    if glyph in ("\\quad", "\\qquad"):
        return len(glyph) - 4  # one em and two
    if glyph in ("~", "\\,", "\\;", "\\!", "\\:", "\\ ", ",", ".", ";"):
        return 0.4
    if glyph in tuple("()[]|"):
        return 0.43
    if glyph in ("\\max", "\\min", "\\sup", "\\arg", "\\exp", "\\leftarrow", "\\Rightarrow"):
        return 1.8
    if glyph in tuple("=+-<>") or re.match(
        r"\\(ge|le|to|approx|sim|ln|mid|sum|int|propto)$", glyph
    ):
        return 1.35
    return 0.85 if glyph.lstrip("\\")[:1].isupper() else 0.62


def _glyphs(tex: str) -> list[str]:
    """Return what of TeX takes room: letters, signs and commands, but not those of style."""
    style = r"\\(left|right|[bB]igg?[lr]?|mathrm|mathcal|mathbb|mathbf|tfrac|frac|textstyle|tilde"
    style += r"|bar|hat|overline|underbrace|displaystyle|operatorname)(?![a-z])"
    return re.findall(r"\\[A-Za-z]+|\\.|[^\s{}]", re.sub(style, "", tex))


def fold(tex: str) -> str:
    """Return an equation that is too wide for large type in several lines."""
    wide = tex_width(tex) * MATH / WIDTH
    if wide <= 0.85:
        return tex
    if table := re.fullmatch(r"\\begin\{aligned\}(.*)\\end\{aligned\}", tex.strip(), flags=re.S):
        rows = [_cells(row) for row in table[1].split("\\\\")]
        if all(len(row) == 1 for row in rows):
            return tex
    elif "\\begin{" in tex:
        return tex
    else:
        rows = [re.split(r"(?<=,)\s*\\q?quad\s*|\s*\\qquad\s*", tex)]
        if len(rows[0]) == 1:
            return _fold_at_relations(tex) if wide > 1 else tex
    lines = []
    for row in rows:
        lines.append(row[0])
        for piece in row[1:]:
            joined = f"{lines[-1]} \\qquad {piece}"
            if tex_width(joined) * MATH <= WIDTH:
                lines[-1] = joined
            else:
                lines.append(piece)
    return f"\\begin{{gathered}} {{}} {BREAK.join(lines)} \\end{{gathered}}"


def _cells(row: str) -> list[str]:
    """Return the equations that stand beside each other in a row of an aligned block."""
    cells = [cell.strip() for cell in row.split("&")]
    return [" ".join(pair) for pair in zip(cells[::2], cells[1::2], strict=False)]


def _fold_at_relations(tex: str) -> str:
    """Return a chain a = b ≤ c with each relation on a line of its own, aligned."""
    tex, *rest = re.split(r"(?=\\q?quad)", tex, maxsplit=1)  # what is said of the chain
    pieces, depth, start = [], 0, 0
    for m in re.finditer(r"\\left|\\right|[{}]|(?<![_^])(?:=(?!:)|=:|\\ge|\\le)(?![A-Za-z])", tex):
        depth += {"{": 1, "}": -1, "\\left": 1, "\\right": -1}.get(m[0], 0)
        if depth == 0 and m[0] not in ("}", "\\right") and m.start() > start:
            pieces.append(tex[start : m.start()])
            start = m.start()
    pieces.append("".join([tex[start:], *rest]))
    if len(pieces) < 2:
        return pieces[0]
    first, *rest = pieces
    lines = f"{BREAK} & ".join(piece.strip() for piece in rest)
    # A long left side would push the aligned column out of the slide: put it on a line of its own.
    apart = tex_width(first) > 12
    start = f"& {first.strip()} {BREAK} & \\quad " if apart else f"{first.strip()} & "
    return f"\\begin{{aligned}} {start}{lines} \\end{{aligned}}"


def math_size(tex: str, zoom: float = 1.0) -> int:
    """Return the size of type at which a displayed equation is no wider than the slide."""
    return max(SMALLEST_MATH, int(min(MATH * zoom, WIDTH / tex_width(tex))))


def code_size(code: str, zoom: float = 1.0) -> int:
    """Return the size of type at which the longest line of code is no wider than the slide."""
    longest = max(map(len, code.splitlines()))
    return int(min(CODE * zoom, (WIDTH - 40) / (0.605 * longest)))


def tex_height(tex: str, size: float) -> float:
    tall = ("\\frac", "\\sum", "\\int", "\\underbrace", "\\prod", "\\begin{cases}")
    rows = re.split(r"\\\\", tex)
    return sum(size * (2.9 if any(t in row for t in tall) else 1.55) for row in rows) + 34


def _plain(text: str) -> str:
    """Return a text about as long as it is when set."""
    text = re.sub(r"\$([^$]+)\$", lambda m: "x" * round(1.9 * tex_width(m[1]) + 1), text)
    return re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text).replace("**", "")


def text_height(text: str, size: float, indent: float = 0) -> float:
    lines = -(-len(_plain(text)) * size * 0.475 // (WIDTH - indent))
    tall = 0.5 if "frac" in text or "sum" in text else 0
    return (lines * 1.35 + tall) * size + 16


def table_height(table: str, size: float) -> float:
    rows = [
        re.split(r"(?<!\\)\|", r.strip("|"))
        for r in table.splitlines()
        if not re.fullmatch(r"[|\s:-]+", r)
    ]
    columns = zip(*([len(_plain(cell)) for cell in row] for row in rows), strict=True)
    wide = [max(column) + 3 for column in columns]
    other = [WIDTH * (1 - 0.9 * w / sum(wide)) for w in wide]  # what a column cannot use
    return sum(
        max(text_height(cell, size, used) for cell, used in zip(row, other, strict=True))
        for row in rows
    )
