"""What stands before the new words: a text to go on from, the control lines of a brief, or the turns of a chat.

Knows tokenizers and cards, no weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from studio.errors import InvalidInput
from studio.families.causal_lm.brief_words import brief_of
from studio.types import Request

LONGEST_PROMPT = 1_000_000  # characters; no context is longer


@dataclass(frozen=True)
class Beginning:
    """`context` are tokens that are never shown; `given` those of the text that are decided, `text` what they say."""

    context: tuple[int, ...]
    given: tuple[int, ...]
    text: str
    keywords: tuple[str, ...] = ()
    genre: str = ""

    @property
    def tokens(self) -> list[int]:
        return [*self.context, *self.given]


class Beginnings:
    """Of one model: `genres` are those of its card, none for a model that was not trained on briefs."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, genres: Sequence[str], ends: frozenset[int]) -> None:
        self.tokenizer, self.genres, self.ends = tokenizer, tuple(genres), ends

    def of(self, request: Request, text: str | None = None) -> Beginning:
        """The beginning that a request asks for; with `text`, that of a finished one. InvalidInput names the field."""
        params = request.params
        for name, value in (("prompt", request.prompt), *((k, v) for k, v in params.items() if isinstance(v, str))):
            if "\0" in value:
                raise InvalidInput("The text holds a NUL character.", "Remove it; no model knows it.", field=name)
        if len(request.prompt) > LONGEST_PROMPT:
            said = f"The text has {len(request.prompt):,} characters."
            raise InvalidInput(said, f"At most {LONGEST_PROMPT:,} are read.", field="prompt")
        context, begun, keywords, genre = self._context(request)
        decided = cast(list[Any], params.get("beginning_tokens") or [])
        if text is not None:
            return Beginning(tuple(context), tuple(self.tokens(text)), text, keywords, genre)
        if decided:
            given = self._known(decided)
            return Beginning(tuple(context), given, self.text(given), keywords, genre)
        if words := str(params.get("beginning") or ""):
            return Beginning(tuple(context), tuple(self.tokens(words)), words, keywords, genre)
        given = tuple(self.tokens(begun))
        if not context and not given:
            context = [next(iter(sorted(self.ends)), 0)]
        return Beginning(tuple(context), given, begun, keywords, genre)

    def _context(self, request: Request) -> tuple[list[int], str, tuple[str, ...], str]:
        """Hidden tokens, the text that is begun already, keywords and genre."""
        mode = str(request.params.get("mode", "write"))
        if mode == "chat":
            return self.tokens(self.chat(request)), "", (), ""
        if self.genres:
            brief = brief_of(request, self.genres, guess=mode == "brief")
            begun = request.prompt if mode == "write" else ""
            return self.tokens(brief.lines()), begun, brief.keywords, brief.genre
        if mode == "write":
            return self.marks(request.prompt), request.prompt, (), ""
        if self.tokenizer.chat_template:
            return self.tokens(self.chat(request.replace(prompt=instruction(request)))), "", (), ""
        return self.marks(heading(request)) + self.tokens(heading(request)), "", (), ""

    def chat(self, request: Request) -> str:
        """The conversation as the model's own template writes it, up to where the model is to answer."""
        if not self.tokenizer.chat_template:
            raise InvalidInput(
                "This model knows no conversations.", "Choose a chat model, or go on from a text.", field="mode"
            )
        system = str(request.params.get("system", ""))
        turns = [{"role": "system", "content": system}] if system.strip() else []
        turns += [self._turn(turn) for turn in cast(list[Any], request.params.get("messages") or [])]
        if request.prompt or not turns:
            turns.append({"role": "user", "content": request.prompt})
        try:
            return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
        except TemplateError as error:
            hint = "Turns of user and assistant alternate; some models take no system message."
            raise InvalidInput(f"The model's chat template refuses this: {error}.", hint, field="messages") from error

    def _turn(self, turn: Any) -> dict[str, str]:
        if not isinstance(turn, Mapping) or not {"role", "content"} <= set(turn):
            raise InvalidInput(
                f"{str(turn)[:80]!r} is no turn of a chat.", "Each has a role and a content.", field="messages"
            )
        return {"role": str(turn["role"]), "content": str(turn["content"])}

    def _known(self, tokens: Sequence[Any]) -> tuple[int, ...]:
        most = len(self.tokenizer)
        if not all(isinstance(token, int) and 0 <= token < most for token in tokens):
            raise InvalidInput(
                "The beginning holds tokens that this model does not know.",
                "Branch from a draft of this very model.",
                field="beginning_tokens",
            )
        return tuple(tokens)

    def marks(self, text: str) -> list[int]:
        """What the tokenizer puts before a text by itself; before nothing at all, the mark of a text's begin."""
        found = [int(token) for token in cast(list[int], self.tokenizer("").input_ids)]
        begin = self.tokenizer.bos_token_id
        if found and found[-1] in self.ends and found[-1] != begin:
            found.pop()
        if not found and not text and begin is not None:
            return [int(str(begin))]
        return found

    def tokens(self, text: str) -> list[int]:
        """Without any marks."""
        if not text:
            return []
        return [
            int(t) for t in cast(list[int], self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids)
        ]

    def text(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def instruction(request: Request) -> str:
    """The brief as one sentence or two to a model that follows words."""
    told = {k: str(v).strip() for k, v in request.params.items() if isinstance(v, str | int)}
    kind = told.get("genre") or "text"
    article = "an" if kind[0].lower() in "aeiou" else "a"
    said = [f"Write {article} {kind}" + (f" about the following: {request.prompt.strip()}" if request.prompt else "")]
    said[0] = said[0].rstrip(".") + "."
    for name, sentence in (
        ("title", "The title is “{}”."),
        ("tone", "The tone is {}."),
        ("audience", "It is for {}."),
        ("keywords", "Use these words: {}."),
        ("language", "Write in {}."),
        ("length", "Write about {} words."),
    ):
        value = told.get(name, "")
        if value and value != "0":
            said.append(sentence.format(value))
    part = told.get("part", "")
    if part and part != "whole":
        said.append(f"Write only the {part} of it.")
    return " ".join([*said, "Answer with the text alone."])


def heading(request: Request) -> str:
    """The brief as the heading of a text, for models that only go on."""
    told = {k: str(v).strip() for k, v in request.params.items() if isinstance(v, str)}
    title = told.get("title") or request.prompt.strip() or told.get("genre", "").capitalize()
    lines = [f"# {title}"] if title else []
    if told.get("genre") and told["genre"].lower() not in title.lower():
        lines.append(f"({told['genre'].lower()})")
    if told.get("keywords"):
        lines.append(f"({told['keywords']})")
    return "\n".join(lines) + "\n\n" if lines else ""
