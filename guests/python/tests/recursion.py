"""Functions that call themselves without end through what is written in C, and JSON that is nested deeply, for tests."""

import functools
import json
import pickle
import re


class Endless:
    @property
    def property(self):
        return self.property

    def __getattr__(self, name):
        return getattr(self, name + "x")

    def __setattr__(self, name, value):
        setattr(self, name, value)

    def __repr__(self):
        return repr(self)

    def __eq__(self, other):
        return self == other

    def __hash__(self):
        return hash(self)

    def __lt__(self, other):
        return self < other

    def __call__(self):
        return self()

    def __add__(self, other):
        return self + other

    def __getitem__(self, index):
        return self[index]

    def __len__(self):
        return len(self)

    def __bool__(self):
        return bool(self)

    def __contains__(self, item):
        return item in self

    def __iter__(self):
        return iter(self)

    def __format__(self, form):
        return format(self, form)


class Made:
    def __new__(cls):
        return Made()


class Missing(dict):
    def __missing__(self, key):
        return self[key]


class Kind(type):
    def __instancecheck__(cls, it):
        return isinstance(it, cls)


class OfKind(metaclass=Kind):
    pass


def sort(it):
    return sorted([1, 2], key=sort)


def search(found):
    return re.sub("a", search, "a")


def shown(it):
    return json.dumps(it, default=shown)


def hook(it):
    return json.loads('{"a": 1}', object_hook=hook)


@functools.cache
def cached(number):
    return cached(number + 1)


ENDLESS = {
    "property": lambda: Endless().property,
    "getattr": lambda: Endless().absent,
    "setattr": lambda: setattr(Endless(), "a", 1),
    "repr": lambda: repr(Endless()),
    "eq": lambda: Endless() == Endless(),
    "hash": lambda: hash(Endless()),
    "lt": lambda: Endless() < 1,
    "call": lambda: Endless()(),
    "add": lambda: Endless() + 1,
    "getitem": lambda: Endless()[0],
    "len": lambda: len(Endless()),
    "bool": lambda: bool(Endless()),
    "contains": lambda: 1 in Endless(),
    "iter": lambda: iter(Endless()),
    "format": lambda: f"{Endless()}",
    "new": Made,
    "missing": lambda: Missing()["a"],
    "isinstance": lambda: isinstance(1, OfKind),
    "sort": lambda: sort(1),
    "map": lambda: (mapped := lambda it: list(map(mapped, [it])))(1),
    "reduce": lambda: (reduced := lambda one, other: functools.reduce(reduced, [1, 2]))(1, 2),
    "sub": lambda: search(None),
    "cache": lambda: cached(0),
    "dumps": lambda: shown(object()),
    "hook": lambda: hook({}),
    "arrays": lambda: json.loads("[" * 100_000),
    "objects": lambda: json.loads('{"a":' * 100_000 + "1" + "}" * 100_000),
}


def answer(path):
    """What comes of each, or the text of a path below `/nested/`, as deep as that says."""
    if path == "/endless":
        return " ".join(f"{name}:{_outcome(endless)}" for name, endless in ENDLESS.items())
    if path.startswith("/nested/"):
        depth = int(path.removeprefix("/nested/"))
        # Brackets in strings are none.
        read = json.loads('["]", "\\"[", ' * (depth - 1) + "[]" + "]" * (depth - 1))
        same = pickle.loads(pickle.dumps(read)) == json.loads(json.dumps(read))
        return f"{same} {len(repr(read)) > depth}"
    return None


def _outcome(endless):
    try:
        endless()
    except Exception as error:
        return type(error).__name__
    return "nothing"
