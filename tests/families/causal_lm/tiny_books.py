"""Books that the tests make up: a few sentences drawn by a seed, in the files and fields of the real ones."""

import json
import lzma
import random
from pathlib import Path

GENRES = {"stories": "story", "poems": "poem", "plays": "play", "essays": "essay", "letters": "letter"}
NOUNS = [a + b for a in "ba do fi ku lem nor pas rit sol tuv".split() for b in "dan gor mel pin rus tak vol".split()]
VERBS = "saw carried watched left found remembered".split()

RECIPE = """
id = "starter-text"
family = "causal_lm"
name = "Tiny text"
seed = 3
[data]
upstream = "made by the tests"
[corpus]
held_out = 0.1
code = false
vocabulary = 400
weights = { poem = 1.5 }
[model]
hidden_size = 32
intermediate_size = 64
num_hidden_layers = 2
num_attention_heads = 2
num_key_value_heads = 2
max_position_embeddings = 128
tie_word_embeddings = true
[training]
steps = 12
batch = 4
lr = 5e-3
embedding_lr = 3e-3
weight_decay = 0.05
warmup = 2
decay = 0.5
sheet_every = 12
save_every = 4
valid_rows = 4
"""


def sentence(genre: str, nouns: list[str], rng: random.Random) -> str:
    a, b, c = rng.sample(nouns, 3)
    verb = rng.choice(VERBS)
    if genre == "poem":
        return f"The {a} that {verb} the {b},\n"
    if genre == "play":
        return f"{a.upper()}: I {verb} the {b}.\n\n"
    if genre == "letter":
        return f"Dear {a.title()}, we {verb} the {b} and the {a}. "
    return f"The {a} {verb} the {b} of the {c}. "


def write_books(folder: Path) -> Path:
    """Twelve books a genre of three records each."""
    rng = random.Random(5)
    folder.mkdir(parents=True, exist_ok=True)
    for name, genre in GENRES.items():
        with lzma.open(folder / f"{name}.jsonl.xz", "wt", encoding="utf-8") as file:
            for book in range(12):
                for chapter in range(3):
                    nouns = rng.sample(NOUNS, 4)
                    text = "".join(sentence(genre, nouns, rng) for _ in range(rng.randint(12, 40)))
                    row = {
                        "title": f"Chapter {chapter}",
                        "author": "A. Tester",
                        "book": f"{name} {book}",
                        "genre": genre,
                        "children": book % 2 == 0,
                        "text": text,
                    }
                    file.write(json.dumps(row) + "\n")
    return folder


def write_recipe(folder: Path, **changes: object) -> Path:
    """The tiny recipe with some of its numbers replaced."""
    lines = RECIPE.strip().splitlines()
    for key, value in changes.items():
        at = next(i for i, line in enumerate(lines) if line.startswith(f"{key} ="))
        lines[at] = f"{key} = {value}"
    path = folder / "recipe.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
