"""The generator that the functions of `random` share is seeded when an instance first draws from it: each has to draw for
itself, and most requests draw nothing.
"""

import os
import random

# What a program may have for longer than a generator has its seed. The module's others ask for these each time.
NAMES = "random getrandbits seed getstate setstate".split()

_Random = random.Random


class Unseeded(_Random):
    """What the generator is until then. These are the module's functions whatever it is."""

    def random(self):
        _seeded(self)
        return _Random.random(self)

    def getrandbits(self, k):
        _seeded(self)
        return _Random.getrandbits(self, k)

    def getstate(self):
        _seeded(self)
        return _Random.getstate(self)

    def seed(self, *args, **kwargs):
        self.__class__ = _Random
        _Random.seed(self, *args, **kwargs)

    def setstate(self, state):
        self.__class__ = _Random
        _Random.setstate(self, state)


def _seeded(generator):
    if type(generator) is Unseeded:
        # As unforeseeable as with the 2,500 bytes that it would take itself, which the host gives by and by.
        generator.seed(int.from_bytes(os.urandom(32)))


def forget():
    """To be called when an instance begins to do something."""
    generator = random._inst
    if type(generator) is _Random:
        # Half of what `gauss` has drawn.
        generator.gauss_next = None
        generator.__class__ = Unseeded


def install():
    """To be called before a program can have taken functions out of the module."""
    generator = random._inst
    generator.__class__ = Unseeded
    vars(random).update((name, getattr(generator, name)) for name in NAMES)
