"""Drafts by real architectures at tiny size: the same alone as in a batch, branched, continued, stopped, kept."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from studio.catalog import Catalog
from studio.errors import Cancelled, InvalidInput, ModelError
from studio.families import family
from studio.families.causal_lm import pipeline
from studio.families.causal_lm.constraints import Constraints
from studio.families.causal_lm.pipeline import TextPipeline
from studio.settings import Settings
from studio.types import Input, Request
from tests.families.causal_lm import tiny_lm
from tests.families.diffusion.listener import CPU, Listener

PROMPT = "The fox walked to the sea, and the owl"
FREE = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "temperature": 1.0, "max_new_tokens": 24}


@pytest.fixture(scope="module", params=tiny_lm.KINDS)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TextPipeline:
    folder = tiny_lm.build(request.param, tmp_path_factory.mktemp(request.param))
    return pipeline.load(folder, CPU)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_lm.build("llama", tmp_path_factory.mktemp("one"))


def asked(prompt: str = PROMPT, task: str = "text", seed: int = 3, **params: Any) -> Request:
    given = () if task == "text" else (Input(role="source", artifact="0" * 64),)
    free = FREE if task == "text" else {}
    made = Request(task=task, model="tiny", prompt=prompt, seed=seed, inputs=given, params={**free, **params})
    return family("causal_lm").validate(made)


def write(loaded: TextPipeline, folder: Path, prompt: str = PROMPT, seed: int = 3, **params: Any) -> Listener:
    folder.mkdir(exist_ok=True, parents=True)
    made = Listener(staging=folder)
    loaded.run(asked(prompt, seed=seed, **params), made)
    return made


def texts(made: Listener) -> list[str]:
    return [made.outputs[k].read_text("utf-8") for k in sorted(made.outputs)]


def open_up(loaded: TextPipeline, folder: Path, text: str, prompt: str = PROMPT, **params: Any) -> Mapping[str, Any]:
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "source.txt").write_text(text, "utf-8", newline="")
    made = Listener(staging=folder, inputs={"source": [folder / "source.txt"]})
    loaded.run(asked(prompt, "token_odds", **params), made)
    return json.loads(made.outputs[0].read_text("utf-8"))


def test_a_draft_alone_is_the_draft_in_its_batch(loaded: TextPipeline, tmp_path: Path) -> None:
    whole = texts(write(loaded, tmp_path / "whole", num_return_sequences=6))
    assert len(set(whole)) == 6 and all(text.startswith(PROMPT) for text in whole)
    for k in (0, 3, 5):
        loaded.decoder("none").kept = None  # as on another day
        assert texts(write(loaded, tmp_path / f"{k}", seed=3 + k, num_return_sequences=1)) == [whole[k]]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_bits_of_a_row_do_not_depend_on_how_many_there_are(loaded: TextPipeline, threads: int) -> None:
    decoder, before = loaded.decoder("none"), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        new, found = torch.tensor([[7], [90], [200], [33], [5], [260], [41], [8]]), []
        for rows in (8, 5, decoder.steady_rows):
            decoder.kept = None
            cache, _ = decoder.read(list(range(20, 90)), rows, 100, lambda: None)
            found.append(decoder.scores(new[:rows], cache))
            found[-1] = decoder.scores(new[:rows] + 1, cache)
        assert all(torch.allclose(made, found[0][: len(made)], rtol=1e-4, atol=1e-4) for made in found)
        if decoder.plain:  # transformers' other modules differ in last bits, with several threads or with AVX-512
            assert all(torch.equal(made, found[0][: len(made)]) for made in found)
    finally:
        torch.set_num_threads(before)


def test_plain_generate_writes_the_same_greedily(loaded: TextPipeline, tmp_path: Path) -> None:
    ours = texts(write(loaded, tmp_path, num_return_sequences=1, temperature=0))[0]
    given = loaded.tokenizer(PROMPT, return_tensors="pt")
    made = loaded.model.generate(**given, max_new_tokens=24, do_sample=False)
    assert ours == loaded.tokenizer.decode(made[0], skip_special_tokens=True)


def test_looking_ahead_changes_no_greedy_word_and_saves_passes(loaded: TextPipeline, tmp_path: Path) -> None:
    prompt = "The owl sang of the winter. The fox sang of the sea. The owl sang of"
    decoder, passes = loaded.decoder("none"), []
    plain = decoder.scores

    def counted(tokens: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        passes.append(tokens.shape[1])
        return plain(tokens, *args, **kwargs)

    decoder.scores = counted  # type: ignore[method-assign]
    try:
        ahead = texts(write(loaded, tmp_path / "ahead", prompt, num_return_sequences=1, temperature=0))
        looked = len(passes)
    finally:
        del decoder.scores
    decoder.kept = None
    together = texts(write(loaded, tmp_path / "together", prompt, num_return_sequences=2, temperature=0))
    assert ahead[0] == together[0] == together[1]
    assert looked <= 24


def test_a_branch_and_a_continuation_go_on_as_the_whole_did(loaded: TextPipeline, tmp_path: Path) -> None:
    whole = write(loaded, tmp_path / "whole", num_return_sequences=2, seed=11)
    text = texts(whole)[1]
    odds = open_up(loaded, tmp_path / "odds", text)
    ids = [token["id"] for token in odds["tokens"]]
    drawn = [*loaded.tokenizer(PROMPT).input_ids, *loaded.decoder("none").kept.rows[1][-24:]]
    if ids == drawn[: len(ids)]:  # the text's own tokens are those that were drawn
        place = len(ids) - 10
        again = write(loaded, tmp_path / "on", seed=12, num_return_sequences=1, beginning_tokens=ids[:place])
        assert texts(again)[0][: len(text)] == text
    other = next(a["id"] for a in odds["tokens"][-6]["alternatives"] if a["id"] != ids[-6] and a["id"] > 4)
    begun = [*ids[:-6], other]
    branch = write(loaded, tmp_path / "branch", seed=12, num_return_sequences=2, beginning_tokens=begun)
    start = loaded.tokenizer.decode(begun, skip_special_tokens=True)
    assert all(made.startswith(start.rstrip("\ufffd")) for made in texts(branch))
    assert branch.metas[0]["new_from"] == len(start)


def test_what_was_read_is_not_read_again_and_changes_nothing(loaded: TextPipeline, tmp_path: Path) -> None:
    first = write(loaded, tmp_path / "first", num_return_sequences=1)
    decoder = loaded.decoder("none")
    read: list[int] = []
    plain = decoder.scores

    def counted(tokens: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        read.append(tokens.shape[1])
        return plain(tokens, *args, **kwargs)

    decoder.scores = counted  # type: ignore[method-assign]
    try:
        ids = decoder.kept.rows[0]
        warm = write(loaded, tmp_path / "warm", num_return_sequences=2, max_new_tokens=8, beginning_tokens=ids)
        assert sum(read) <= 2 + 7
        decoder.kept, read[:] = None, []
        cold = write(loaded, tmp_path / "cold", num_return_sequences=2, max_new_tokens=8, beginning_tokens=ids)
        assert sum(read) >= len(ids)
    finally:
        del decoder.scores
    assert texts(warm) == texts(cold)
    assert texts(warm)[0].startswith(texts(first)[0])


def test_token_odds_are_the_models(loaded: TextPipeline, tmp_path: Path) -> None:
    text = PROMPT + " sang: Grüße ☕ aus 東京, 3 €."
    found = open_up(loaded, tmp_path, text, alternatives=5)
    assert "".join(token["text"] for token in found["tokens"]) == text
    assert [token["given"] for token in found["tokens"]].count(True) == len(loaded.tokenizer(PROMPT).input_ids)
    ids = torch.tensor([[token["id"] for token in found["tokens"]]])
    with torch.inference_mode():
        chances = loaded.model(input_ids=ids).logits[0].float().softmax(-1)
    for place in range(1, ids.shape[1]):
        token, row = found["tokens"][place], chances[place - 1]
        assert token["chance"] == pytest.approx(float(row[token["id"]]), rel=1e-3, abs=1e-7)
        assert token["rank"] == pytest.approx(1 + int((row > row[token["id"]]).sum()), abs=1)
        assert token["alternatives"][0]["chance"] == pytest.approx(float(row.max()), rel=1e-3)
        assert len(token["alternatives"]) == 5
    assert found["bits_a_byte"] > 0 and found["context"] == 0


def test_the_chat_template_is_transformers_own(loaded: TextPipeline, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Who are you? "}, {"role": "assistant", "content": "An owl."}]
    request = asked("And how old?", mode="chat", messages=turns, system="Be short.")
    beginning = loaded.beginnings.of(request)
    said = [{"role": "system", "content": "Be short."}, *turns, {"role": "user", "content": "And how old?"}]
    theirs = loaded.tokenizer.apply_chat_template(said, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert beginning.tokens == list(theirs)
    made = write(loaded, tmp_path, "And how old?", mode="chat", messages=turns, num_return_sequences=1)
    assert made.metas[0]["new_from"] == 0 and "user" not in texts(made)[0][:5]


def test_a_long_conversation_goes_on_without_its_oldest_turns(llama: Path, tmp_path: Path) -> None:
    loaded = pipeline.load(llama, CPU)
    said = [("user", "assistant")[k % 2] for k in range(30)]
    turns = [{"role": role, "content": f"{k}: the owl told the fox of the sea"} for k, role in enumerate(said)]
    first = {"role": "system", "content": "Be short."}
    last = {"mode": "chat", "num_return_sequences": 1}
    made = write(loaded, tmp_path / "long", "And then?", messages=[first, *turns], **last)
    (told,) = made.warnings
    left = int(told.split(" turns ")[0].split()[-1])
    assert told.startswith("The conversation is longer than this model can look back") and 0 < left < 30
    kept = write(loaded, tmp_path / "kept", "And then?", messages=[first, *turns[left:]], **last)
    assert texts(kept) == texts(made) and not kept.warnings and left % 2 == 0
    found = open_up(loaded, tmp_path / "odds", texts(made)[0], "And then?", mode="chat", messages=[first, *turns])
    assert found["tokens"]


def test_stop_keeps_what_was_written_within_two_tokens(loaded: TextPipeline, tmp_path: Path) -> None:
    made = Listener(staging=tmp_path, stop_at=7)
    with pytest.raises(Cancelled):
        loaded.run(asked(num_return_sequences=3), made)
    assert len(made.outputs) == 3
    for k, meta in made.metas.items():
        assert meta["finished"] in ("stopped", "end") and int(str(meta["tokens"])) <= 9
        assert made.outputs[k].read_text("utf-8").startswith(PROMPT)


def test_previews_hold_the_whole_text_and_come_from_the_first_token_on(llama: Path, tmp_path: Path) -> None:
    made = write(pipeline.load(llama, CPU), tmp_path, num_return_sequences=2, max_new_tokens=10)
    shown = [path.read_text("utf-8") for index, path in made.previews if index == 0]
    assert len(shown) == 3  # after 1, 4 and 8 tokens
    assert all(text.startswith(PROMPT) for text in shown) and texts(made)[0].startswith(shown[-1].rstrip("\ufffd"))


def test_meta_says_how_it_ended(llama: Path, tmp_path: Path) -> None:
    loaded = pipeline.load(llama, CPU)
    length = write(loaded, tmp_path / "length", num_return_sequences=1)
    meta = length.metas[0]
    assert meta["seed"] == 3 and meta["new_from"] == len(PROMPT)
    fresh = texts(length)[0][len(PROMPT) :]
    assert meta["words"] == len(fresh.split()) and 0 <= float(str(meta["repeats"])) <= 1
    assert meta["finished"] in ("length", "end")
    stop = next(c for c in fresh[3:] if c.isalnum())
    made = write(loaded, tmp_path / "stop", num_return_sequences=1, stop=f"never this\n{stop}")
    assert made.metas[0]["finished"] == "stop" and texts(made)[0] == PROMPT + fresh[: fresh.index(stop)]
    timed = write(loaded, tmp_path / "time", num_return_sequences=1, seconds=0.01, max_new_tokens=200)
    assert timed.metas[0]["finished"] in ("time", "end") and timed.metas[0]["tokens"] < 200


def test_a_json_schema_and_an_expression_are_kept_to(llama: Path, tmp_path: Path) -> None:
    loaded = pipeline.load(llama, CPU)
    properties = {"name": {"type": "string", "maxLength": 6}, "age": {"type": "integer", "minimum": 1, "maximum": 99}}
    schema = {"type": "object", "properties": properties, "required": ["name", "age"], "additionalProperties": False}
    made = write(
        loaded, tmp_path / "json", "", json_schema=json.dumps(schema), max_new_tokens=120, num_return_sequences=3
    )
    for k, text in enumerate(texts(made)):
        found = json.loads(text)
        assert set(found) == {"name", "age"} and 1 <= found["age"] <= 99 and made.metas[k]["finished"] == "end"
    lines = write(loaded, tmp_path / "regex", "", regex=r"(fox|owl) [0-9]{2}\.", num_return_sequences=3)
    assert all(text[:4] in ("fox ", "owl ") and text.endswith(".") and len(text) == 7 for text in texts(lines))
    assert all(meta["complete"] for meta in (*made.metas.values(), *lines.metas.values())) and not made.warnings


def test_a_shape_that_is_cut_is_told(llama: Path, tmp_path: Path) -> None:
    loaded = pipeline.load(llama, CPU)
    cut = write(loaded, tmp_path / "cut", "", regex="fox [0-9]{200}", num_return_sequences=1, max_new_tokens=8)
    assert cut.metas[0]["complete"] is False
    assert cut.warnings == ["The draft was cut before becoming what the regular expression asks. Allow more tokens."]
    ample = write(loaded, tmp_path / "ample", "", regex="[a-z ]*", num_return_sequences=1, max_new_tokens=8)
    assert ample.metas[0]["complete"] and not ample.warnings, "it could go on, and need not"


def test_constraints_that_contradict_each_other_are_said(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="leave nothing to go on with"):
        write(pipeline.load(llama, CPU), tmp_path, "", regex="fox|owl", word_filter=["fox", "owl"])


def test_filtered_words_do_not_appear(llama: Path, tmp_path: Path) -> None:
    loaded = pipeline.load(llama, CPU)
    plain = " ".join(texts(write(loaded, tmp_path / "plain", "", num_return_sequences=8, max_new_tokens=60)))
    words = [word for word in ("the", "fox", "sea", "a", "e", "d", "s", "of") if word in words_of(plain)]
    assert words
    made = write(loaded, tmp_path / "clean", "", num_return_sequences=8, max_new_tokens=60, word_filter=words)
    assert not set(words) & set(words_of(" ".join(texts(made))))


def words_of(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text.lower()).split()


def test_in_8_bits_it_writes_too(llama: Path, tmp_path: Path) -> None:
    loaded = pipeline.load(llama, CPU)
    made = write(loaded, tmp_path / "a", num_return_sequences=2, quantization="int8")
    alone = write(loaded, tmp_path / "b", seed=4, num_return_sequences=1, quantization="int8")
    assert texts(alone) == texts(made)[1:]


BIG = "The fox. " * 12_000
WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    (BIG, {}, "prompt", "tokens, and this model can look back"),
    ("a\0b", {}, "prompt", "NUL"),
    (PROMPT, {"title": "a\0"}, "title", "NUL"),
    (PROMPT, {"max_new_tokens": 5000}, "max_new_tokens", "more than the 256"),
    (PROMPT, {"json_schema": "{}", "regex": "a"}, "regex", "at once"),
    (PROMPT, {"json_schema": '{"type": '}, "json_schema", "is no JSON"),
    (PROMPT, {"json_schema": '{"allOf": [{"type": "string"}, {"type": "integer"}]}'}, "json_schema", "No text"),
    (PROMPT, {"regex": "((("}, "regex", "unclosed"),
    (PROMPT, {"beginning_tokens": [3, 99_999]}, "beginning_tokens", "does not know"),
    (PROMPT, {"beginning_tokens": ["a"]}, "beginning_tokens", "does not know"),
    (PROMPT, {"word_filter": ["two words"]}, "word_filter", "not one word"),
    (PROMPT, {"mode": "chat", "messages": ["hello"]}, "messages", "no turn"),
    (PROMPT, {"stop": "x" * 2000}, "stop", "too much"),
]


@pytest.mark.parametrize(("prompt", "params", "field", "said"), WRONG, ids=lambda value: str(value)[:24])
def test_bad_input_is_one_sentence(
    llama: Path, tmp_path: Path, prompt: str, params: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        write(pipeline.load(llama, CPU), tmp_path, prompt, **params)
    assert caught.value.field == field and "\n" not in caught.value.message


def test_an_expression_that_explodes_is_said() -> None:
    words = tiny_lm.tokenizer()
    shape = Constraints(words, frozenset({1})).shape("", "(((a{1,1000}){1,1000}){1,1000})", 1, len(words))
    assert shape
    letter = words("a").input_ids
    with pytest.raises(InvalidInput, match="No text can be written to this regular expression: .* too many") as caught:
        for length in range(1, 100):
            shape(torch.tensor([letter * length]), torch.zeros(1, len(words)))
    assert caught.value.field == "regex"


def test_two_megabytes_are_refused_at_once(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="characters"):
        write(pipeline.load(llama, CPU), tmp_path, "a" * 2_000_000)


def test_models_without_a_template_or_a_tokenizer_say_so(tmp_path: Path) -> None:
    folder = tiny_lm.build("llama", tmp_path / "plain", chat=False)
    loaded = pipeline.load(folder, CPU)
    with pytest.raises(InvalidInput, match="knows no conversations") as caught:
        write(loaded, tmp_path / "out", mode="chat")
    assert caught.value.field == "mode"
    heading = write(loaded, tmp_path / "brief", "a poem about foxes", mode="brief", num_return_sequences=1)
    assert heading.metas[0]["new_from"] == 0 and "#" not in texts(heading)[0][:1]
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelError, match="tokenizer"):
        pipeline.load(folder, CPU)


def test_the_folders_are_plain_transformers(llama: Path) -> None:
    assert AutoModelForCausalLM.from_pretrained(llama).config.model_type == "llama"
    assert AutoTokenizer.from_pretrained(llama).chat_template == tiny_lm.CHAT


def test_a_folder_without_a_card_is_listed_with_what_it_suggests(llama: Path, tmp_path: Path) -> None:
    settings = Settings.load({"home": str(tmp_path)})
    shutil.copytree(llama, settings.models / "mine")
    told = {"temperature": 0.6, "top_k": 20, "do_sample": True, "eos_token_id": 1, "repetition_penalty": None}
    (settings.models / "mine" / "generation_config.json").write_text(json.dumps(told))
    catalog = Catalog(settings)
    model = catalog.model("mine")
    assert model.family == "causal_lm" and "text" in model.tasks
    assert catalog.defaults(model, "text") == {"temperature": 0.6, "top_k": 20, "max_new_tokens": 128}
