"""Many prompts at once: pasted lines or a table, read as changes of one brief, line by line. Queues nothing.

a red fox in the snow          one prompt a line; empty lines and those that begin with # are left out

prompt,seed,width,height       a table has a line of names first, one of them `prompt`; commas, semicolons or tabs
"a red fox, in the snow",7,384,256
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio.errors import InvalidInput
from studio.families.family import Param
from studio.types import Value

MOST = 1000  # lines
OTHERWISE = {  # names that people know from elsewhere
    "negative": "negative_prompt",
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "cfg": "guidance_scale",
    "cfg_scale": "guidance_scale",
    "sampler": "scheduler",
    "count": "num_images_per_prompt",
}
BESIDE = ("model", "style")  # columns that are no settings of a task
SEED = Param(name="seed", type=int, default=-1, minimum=0, maximum=2**53, label="Seed")


@dataclass(frozen=True)
class Line:
    number: int  # in the text, from 1
    prompt: str
    changes: Mapping[str, Value] = field(default_factory=dict)  # settings by name, seed, model and style among them


def read_list(text: str, params: Sequence[Param]) -> tuple[Line, ...]:
    """The lines of a text; `params` are the settings that a column may name. InvalidInput names every wrong line."""
    lines = text.lstrip("\ufeff").splitlines()
    first = next((line for line in lines if line.strip()), "")
    mark = max(",;\t", key=first.count)
    names = [_named(name) for name in next(csv.reader([first], delimiter=mark), [])]
    found = _table(lines, names, mark, params) if "prompt" in names else _prompts(lines)
    if not found:
        raise InvalidInput("The list holds no prompt.", "Write one prompt a line.", field="many")
    if len(found) > MOST:
        raise InvalidInput(f"The list has {len(found)} prompts.", f"At most {MOST} are read.", field="many")
    return found


def wrong_lines(wrong: Mapping[int, InvalidInput]) -> InvalidInput:
    """One error that names the lines, by number, and what is wrong with the first ones."""
    told = [f"Line {number}: {error.message}" for number, error in sorted(wrong.items())[:3]]
    more = f" {len(wrong) - 3} more lines are wrong." if len(wrong) > 3 else ""
    hint = next(iter(dict(sorted(wrong.items())).values())).hint
    return InvalidInput(f"{' '.join(told)}{more}", f"{hint} Nothing was queued.".strip(), field="many")


def _prompts(lines: Sequence[str]) -> tuple[Line, ...]:
    told = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    return tuple(Line(number, line) for number, line in told if line and not line.startswith("#"))


def _table(lines: Sequence[str], names: Sequence[str], mark: str, params: Sequence[Param]) -> tuple[Line, ...]:
    known = {param.name: param for param in (*params, SEED)}
    unknown = [name for name in names if name and name not in (*known, *BESIDE, "prompt")]
    if unknown or len(set(names)) < len(names):
        said = f"The column {unknown[0]!r} is no setting." if unknown else "A column stands there twice."
        raise InvalidInput(said, f"There are: prompt, {', '.join([*BESIDE, *known])}.", field="many")
    found, wrong, reader = [], {}, csv.reader(lines, delimiter=mark, skipinitialspace=True)
    headed = False
    begins = 1
    for row in reader:
        number, begins = begins, reader.line_num + 1
        if not any(cell.strip() for cell in row) or row[0].startswith("#"):
            continue
        if not headed:
            headed = True
            continue
        try:
            found.append(_line(number, row, names, known))
        except InvalidInput as error:
            wrong[number] = error
    if wrong:
        raise wrong_lines(wrong)
    return tuple(found)


def _line(number: int, row: Sequence[str], names: Sequence[str], known: Mapping[str, Param]) -> Line:
    if len(row) > len(names):
        raise InvalidInput(
            f"It has {len(row)} cells, the first line has {len(names)}.", "Put quotes around words with commas."
        )
    cells: dict[str, Any] = {name: cell.strip() for name, cell in zip(names, row, strict=False) if cell.strip()}
    prompt = str(cells.pop("prompt", ""))
    if not prompt:
        raise InvalidInput("It has no prompt.", "Write what should be in the picture.")
    return Line(number, prompt, {name: known[name].check(v) if name in known else v for name, v in cells.items()})


def _named(name: str) -> str:
    plain = name.strip().lower().replace(" ", "_")
    return OTHERWISE.get(plain, plain)
