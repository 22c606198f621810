"""Makes the trees that the benchmarks stage: the same bytes on every machine."""

from __future__ import annotations

import random
from pathlib import Path

#: 400 words: gzip -6 makes a quarter of such files, as it does of a real vendor/ or node_modules/.
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def make_tree(root: Path, files: int, size: int) -> Path:
    """Make ``files`` PHP files of ``size`` bytes together (their sizes vary by a factor of 30).

    Returns ``root``. A tree that is there already is taken as it is.
    """
    if (root / "index.php").exists():
        return root
    dice = random.Random(20_000)  # the same tree every time
    words = ["".join(dice.choices(_LETTERS, k=dice.randint(2, 12))) for _ in range(400)]
    corpus = _corpus(dice, words)
    weights = [dice.paretovariate(1.2) for _ in range(files)]
    weights = [min(weight, 30.0) for weight in weights]
    scale = size / sum(weights)
    root.mkdir(parents=True)
    for number, weight in enumerate(weights):
        folder = root / f"src{number // 2000}" / f"{words[number // 40 % 400]}{number // 40}"
        folder.mkdir(parents=True, exist_ok=True)
        length = max(64, int(weight * scale))
        start = dice.randrange(len(corpus) - length) if length < len(corpus) else 0
        (folder / f"{words[number % 400].title()}{number}.php").write_bytes(
            b"<?php\n" + corpus[start : start + length - 6]
        )
    (root / "index.php").write_text("<?php echo 'hello from the benchmark';\n")
    return root


def _corpus(dice: random.Random, words: list[str]) -> bytes:
    """8 MB of what looks like source code to a compressor."""
    lines = []
    size = 0
    while size < 8_000_000:
        indent = "    " * dice.randint(0, 4)
        kind = dice.random()
        chosen = dice.choices(words, k=4)
        if kind < 0.35:
            line = f"{indent}${chosen[0]} = $this->{chosen[1]}({chosen[2]!r}, {dice.randint(0, 9999)});"
        elif kind < 0.6:
            line = f"{indent}return {chosen[0]}::{chosen[1]}(${chosen[2]}) . {chosen[3]!r};"
        elif kind < 0.8:
            line = f"{indent}// " + " ".join(dice.choices(words, k=dice.randint(4, 12)))
        else:
            name, result = chosen[0] + chosen[1].title(), chosen[3].title()
            line = f"{indent}public function {name}(array ${chosen[2]}): ?{result}"
        lines.append(line)
        size += len(line) + 1
    return "\n".join(lines).encode()
