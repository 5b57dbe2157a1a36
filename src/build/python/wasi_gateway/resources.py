"""What the host lends, such as a stream, is given back when the object that stands for it goes.

componentize-py has `weakref.finalize` see to that, which also sees to an order and to the end of the process, and costs
more than most calls of the host. Nobody but it touches what is made for a resource, so what is made here does no more
than it asks for. It asks the module once, when the application has been imported, and keeps what it finds.
"""

import sys
import types
import weakref

from componentize_py_runtime import drop_resource

ORIGINAL = weakref.finalize


class Lent:
    """Goes with the object that has it, and gives back the resource unless that was taken over."""

    __slots__ = ("_call",)

    def __init__(self, call):
        self._call = call

    def detach(self):
        call, self._call = self._call, None
        return call

    def __del__(self):
        if self._call is not None:
            _, function, args, _ = self._call
            function(*args)


def finalize(holder, function, *args, **kwargs):
    if function is drop_resource and not kwargs:
        # As `detach` of the original has it, without the holder.
        return Lent((None, function, args, kwargs))
    return ORIGINAL(holder, function, *args, **kwargs)


class Module:
    """In place of the module `weakref`, where componentize-py has made the code."""

    finalize = staticmethod(finalize)

    def __getattr__(self, name):
        return getattr(weakref, name)


class Asked(types.ModuleType):
    """What the module `weakref` is until componentize-py has asked it; its variables stay what they are."""

    @property
    def finalize(self):
        try:
            # Python code that asks.
            sys._getframe(1)
        except ValueError:
            put_back()
            return finalize
        return ORIGINAL


def install():
    for name, module in list(sys.modules.items()):
        if name.startswith("wit_world.") and vars(module).get("weakref") is weakref:
            module.weakref = Module()


def offer():
    """To be called last: from here on componentize-py alone is given this, and once."""
    weakref.__class__ = Asked


def put_back():
    """Whatever componentize-py did: to anyone who asks now, the module is what it always was."""
    if type(weakref) is Asked:
        weakref.__class__ = types.ModuleType
