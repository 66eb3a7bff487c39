"""GANs: so far the training of starter-gan. The declaration of the family is not here yet."""
