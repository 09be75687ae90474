#!/usr/bin/env python3
"""A terminal's output (standard input, with colours) as a picture (standard output).

Each line of output is one <text>, so that its words can be got back: those that are longer than the picture is wide are
folded into several <tspan>s of it.
"""
import html
import re
import sys
from itertools import groupby

COLUMNS, SIZE, LINE, MARGIN = 118, 13, 18, 16
ADVANCE = SIZE * 0.602  # of a monospaced letter
COLOURS = {"31": "#ff7b72", "32": "#7ee787", "33": "#e3b341", "1": "#ffffff", "2": "#8b949e"}
PLAIN = "#c9d1d9"


def letters(line):
    """The line's letters, each with its colour."""
    colour = PLAIN
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b"):
            codes = part[2:-1].split(";")
            colour = next((COLOURS[code] for code in codes if code in COLOURS), PLAIN)
        else:
            yield from ((colour, letter) for letter in part)


def folded(line):
    """The line as rows of at most COLUMNS letters, broken after a blank; a row is a list of (colour, text)."""
    rest = list(letters(line))
    while True:
        cut = len(rest)
        if cut > COLUMNS:
            blanks = [n for n in range(COLUMNS // 2, COLUMNS) if rest[n][1] == " "]
            cut = blanks[-1] + 1 if blanks else COLUMNS
        yield [(colour, "".join(letter for _, letter in run)) for colour, run in groupby(rest[:cut], lambda one: one[0])]
        rest = rest[cut:]
        if not rest:
            return


def main():
    lines = sys.stdin.read().replace("\r", "").rstrip("\n").split("\n")
    body, y = [], MARGIN + SIZE
    for line in lines:
        if line.startswith("$ "):
            line = f"\x1b[1m{line}\x1b[0m"
        spans = []
        for row in folded(line):
            place = f' x="{MARGIN}" y="{y}"'
            for colour, text in row or [(PLAIN, "")]:
                spans.append(f'<tspan{place} fill="{colour}">{html.escape(text, quote=False)}</tspan>')
                place = ""
            y += LINE
        body.append("<text>" + "".join(spans) + "</text>")
    width, height = round(2 * MARGIN + COLUMNS * ADVANCE), y - SIZE + MARGIN // 2
    print(f'<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" width="{width}" height="{height}" viewBox="0 0 {width} {height}">')
    print("<style>text { font: %dpx ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace }</style>" % SIZE)
    print(f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>')
    print("\n".join(body))
    print("</svg>")


if __name__ == "__main__":
    main()
