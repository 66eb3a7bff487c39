"""A family for tests of the engine: it echoes, waits and breaks on request, and needs no model and no
torch.
"""

from studio.families.family import Family

FAMILY = Family(name="toy", title="Toy", media="text", tasks={"act": ()}, trainings={"train_toy": ()})
