"""Musical scores: so far the training of starter-music. The declaration of the family is not here yet."""
