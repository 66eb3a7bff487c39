"""Shapes: so far the training of starter-shape. The declaration of the family is not here yet."""
