"""Objects that are there when the component is built, and others, for tests."""

import sys


class Kind:
    pass


def outer():
    def inner():
        pass

    return inner


kept = {"list": [Kind()]}


def immortal():
    """Says of objects whether they are immortal (PEP 683)."""
    objects = [kept, kept["list"], kept["list"][0], Kind, immortal, immortal.__code__, outer().__code__, [], Kind()]
    return " ".join(str(sys._is_immortal(it)) for it in objects)
