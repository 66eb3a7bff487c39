"""Causal language models: so far the training of starter-text. The declaration of the family is not here yet."""
