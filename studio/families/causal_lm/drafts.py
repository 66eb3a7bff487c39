"""Drafts for briefs by transformers' own `generate`, as trainings and figures need them; no streaming, no board."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedModel, PreTrainedTokenizerFast

from studio.families.causal_lm.briefs import Brief


class KeywordBias(LogitsProcessor):
    """Raises the scores of each row's keywords until they have stood in its text.

    A keyword's first token gains `bias`, its next ones twice that, once those before them stand at the end of the text.
    A word still comes only where the model finds it half likely: this leans, it does not force.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, keywords: Sequence[Sequence[str]], prompt: int, bias: float
    ) -> None:
        """`prompt` is the length in tokens of what comes before the texts."""
        self.waiting = [
            [tokenizer(f" {word}", add_special_tokens=False).input_ids for word in words] for words in keywords
        ]
        self.prompt, self.bias = prompt, bias

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """input_ids (rows, tokens so far), scores (rows, vocabulary)."""
        raised = scores.clone()
        for row, (words, text) in enumerate(zip(self.waiting, input_ids[:, self.prompt :].tolist(), strict=True)):
            words[:] = [word for word in words if text[-len(word) :] != word]
            for word in words:
                begun = next((n for n in range(len(word) - 1, 0, -1) if text[-n:] == word[:n]), 0)
                raised[row, word[begun]] += self.bias * (2 if begun else 1)
        return raised


@torch.inference_mode()
def draft(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    briefs: Sequence[Brief],
    *,
    seed: int,
    max_new_tokens: int,
    temperature: float = 0.8,
    top_p: float = 0.95,
    keyword_bias: float = 0.0,
) -> list[str]:
    """One text for each brief, drawn together from one seed; the state of torch's generator is left as it was."""
    tokenizer.padding_side = "left"
    given = tokenizer([brief.lines() for brief in briefs], padding=True, add_special_tokens=False, return_tensors="pt")
    prompt = given.input_ids.shape[1]
    lean = KeywordBias(tokenizer, [brief.keywords for brief in briefs], prompt, keyword_bias)
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    made = model.generate(
        input_ids=given.input_ids.to(model.device),
        attention_mask=given.attention_mask.to(model.device),
        max_new_tokens=min(max_new_tokens, model.config.max_position_embeddings - prompt),
        do_sample=True,
        temperature=temperature,
        top_p=top_p,
        top_k=0,
        use_cache=True,
        logits_processor=LogitsProcessorList([lean] if keyword_bias else []),
    )
    torch.set_rng_state(state)
    return tokenizer.batch_decode(made[:, prompt:], skip_special_tokens=True)
