"""Where a text ends by a string, and how far it repeats itself. Knows no model."""

from collections.abc import Callable, Sequence

from studio.errors import InvalidInput

LONGEST = 1000  # characters of a stop string
MOST = 64


def stop_strings(text: str) -> tuple[str, ...]:
    r"""One a line; \n and \t inside a line mean what they mean in code. InvalidInput for absurd ones."""
    found = tuple(line.replace("\\n", "\n").replace("\\t", "\t") for line in text.splitlines() if line)
    if len(found) > MOST or any(len(line) > LONGEST for line in found):
        hint = f"At most {MOST} lines of {LONGEST} characters."
        raise InvalidInput("That is too much to stop at.", hint, field="stop")
    return found


class StopStrings:
    """`decode` gives the text of tokens."""

    def __init__(self, stops: Sequence[str], decode: Callable[[Sequence[int]], str]) -> None:
        self.stops, self.decode = tuple(stops), decode
        # a token holds at least one byte, save the few of a character that is not whole yet
        self.tail = max((len(stop.encode()) for stop in stops), default=0) + 8

    def reached(self, tokens: Sequence[int]) -> bool:
        """Whether a stop string stands at the end of the text; asked after every token."""
        if not self.stops or not tokens:
            return False
        text = self.decode(tokens[-self.tail :])
        return any(stop in text for stop in self.stops)

    def before(self, text: str) -> str:
        """The text before the first stop string in it."""
        places = [place for stop in self.stops if (place := text.find(stop)) >= 0]
        return text[: min(places)] if places else text


def repeats(text: str, length: int = 4) -> float:
    """Share of the runs of `length` words that stood in the text before, 0..1; punctuation and case do not count."""
    words = [word for part in text.lower().split() if (word := part.strip(".,;:!?\"'()[]“”‘’—-"))]
    runs = [tuple(words[k : k + length]) for k in range(len(words) - length + 1)]
    return round(1 - len(set(runs)) / len(runs), 4) if runs else 0.0
