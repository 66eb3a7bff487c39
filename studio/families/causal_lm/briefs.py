"""The control lines before a text, in the plain words of a person's brief. Knows no model and no corpus.

    <|brief|>genre: poem
    for: everyone
    part: whole
    keywords: sea, lighthouse
    title: The Keeper<|text|>The lamp was lit ...<|end|>

Every line may be missing; their order is fixed.
"""

from dataclasses import dataclass

BRIEF, TEXT, END, PAD = "<|brief|>", "<|text|>", "<|end|>", "<|pad|>"
SPECIALS = (BRIEF, TEXT, END, PAD)
GENRES = ("story", "poem", "play", "essay", "letter", "code")
PARTS = ("whole", "beginning", "middle", "end")
LONGEST_TITLE = 60  # characters


@dataclass(frozen=True)
class Brief:
    """What a text shall be. An empty field leaves the choice to the model.

    `part` says whether the text is whole or which part of a longer one; `audience` is "children" or "everyone".
    """

    genre: str = ""
    audience: str = ""
    part: str = ""
    keywords: tuple[str, ...] = ()
    title: str = ""

    def lines(self) -> str:
        """The control lines, from the mark that begins a brief to the mark that begins the text."""
        fields = {
            "genre": self.genre,
            "for": self.audience,
            "part": self.part,
            "keywords": ", ".join(self.keywords),
            "title": " ".join(self.title.split())[:LONGEST_TITLE].rstrip(),
        }
        return BRIEF + "\n".join(f"{name}: {value}" for name, value in fields.items() if value) + TEXT
