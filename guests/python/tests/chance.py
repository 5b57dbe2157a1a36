"""What an application draws at random, for tests; it has taken functions out of the module, and drawn, when it is imported."""

import random
from random import choice, gauss, getrandbits, getstate, randint, seed, setstate, shuffle
from random import random as kept

seed(7)
# Half of what it draws is kept for the next.
gauss()
own = kept(), getrandbits(32)

WAYS = {
    "random": random.random,
    "kept": kept,
    "getrandbits": lambda: getrandbits(64),
    "choice": lambda: [choice(range(1 << 30)) for _ in range(4)],
    "gauss": gauss,
    "randint": lambda: randint(1, 1 << 60),
    "shuffle": lambda: shuffled(),
    "state": lambda: (hash(getstate()), kept()),
    "bytes": lambda: random.randbytes(8).hex(),
    "mocked": lambda: mocked(),
    "seeded": lambda: seeded(),
}
PATHS = {f"/chance/{name}": way for name, way in WAYS.items()}


def shuffled():
    numbers = list(range(100))
    shuffle(numbers)
    return numbers


def mocked():
    """Whoever replaces a function finds it replaced, whatever draws meanwhile."""
    before, random.random = random.random, lambda: 0.5
    drawn = randint(1, 1 << 60)
    assert random.random() == 0.5
    random.random = before
    assert 0 <= random.random() < 1 and random.uniform(1, 2) < 2
    return drawn


def seeded():
    """The same for everybody who wants it to be."""
    assert isinstance(random._inst, random.Random)
    seed(7)
    gauss()
    assert (kept(), getrandbits(32)) == own
    state = getstate()
    drawn = random.random(), random.expovariate()
    setstate(state)
    assert (kept(), random.expovariate()) == drawn
    assert random.Random(7).random() == random.Random(7).random()
    # With none given, a seed is drawn.
    seed()
    return kept()
