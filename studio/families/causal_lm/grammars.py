"""What a JSON schema or a regular expression asks of a text, read before any model is. No torch here."""

import json
from typing import Any

from studio.errors import InvalidInput

LONGEST = 100_000  # characters of a schema or an expression
# JSON as one line: between its parts a model of prose would write spaces and line ends without end
COMPACT: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


def grammar_of(json_schema: str, regex: str) -> tuple[str, str] | None:
    """The field that asks for something and its grammar as llguidance reads it; None for neither. InvalidInput names
    the field.
    """
    if json_schema.strip() and regex:
        said = "A text cannot be held to a JSON schema and to a regular expression at once."
        raise InvalidInput(said, "Empty one of the two.", field="regex")
    if not json_schema.strip() and not regex:
        return None
    field, given = ("regex", regex) if regex else ("json_schema", json_schema)
    if len(given) > LONGEST:
        raise InvalidInput(f"That is {len(given):,} characters long.", f"At most {LONGEST:,}.", field=field)
    from llguidance import LLMatcher  # a tenth of a second, and few texts ask for it

    if regex:
        grammar = LLMatcher.grammar_from_regex(regex)
    else:
        grammar = LLMatcher.grammar_from_json_schema(schema(given), overrides=COMPACT)
    if problem := LLMatcher.validate_grammar(grammar):
        raise refused(field, problem)
    return field, grammar


def schema(text: str) -> str:
    """The schema, read and written again. InvalidInput where it is no JSON."""
    try:
        return json.dumps(json.loads(text))
    except (ValueError, RecursionError) as error:
        hint = 'It begins like {"type": "object", ...'
        raise InvalidInput(f"The JSON schema is no JSON: {error}.", hint, field="json_schema") from error


def refused(field: str, problem: str) -> InvalidInput:
    lines = [line.strip() for line in problem.splitlines() if line.strip()] or ["it is too complex"]
    reason = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), lines[0])[:200]
    reason = reason.rstrip(".")
    name = "regular expression" if field == "regex" else "JSON schema"
    return InvalidInput(f"No text can be written to this {name}: {reason}.", "Make it simpler.", field=field)
