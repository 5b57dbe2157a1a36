"""Objects that are there when the component is built, and others, for tests."""

import sys


class Kind:
    pass


kept = {"list": [Kind()]}


def immortal():
    """Says of objects whether they are immortal (PEP 683)."""
    objects = [kept, kept["list"], kept["list"][0], Kind, immortal, [], Kind()]
    return " ".join(str(sys._is_immortal(it)) for it in objects)
