"""What goes when nobody holds it any more: resources of the host, and what an application has `weakref.finalize` do."""

import gc
import weakref


class Kind:
    pass


# As they are where the application is imported.
FINALIZE = weakref.finalize
holder = Kind()
early = weakref.finalize(holder, print)


def number(made):
    """Of a resource that is not kept: the host gives the least number that is free."""
    return made().handle


def in_a_circle(made):
    it = made()
    it.itself = it
    found = it.handle
    del it
    gc.collect()
    return found


def closed(made):
    with made() as it:
        return it.handle


def lent():
    """Says of each way to let a resource go whether the host has it back, and what sees to that."""
    from wit_world.imports.types import Fields

    first = number(Fields)
    ways = {
        "made": lambda: Fields.from_list([("name", b"value")]),
        "constructed": Fields,
        "copied": Fields.from_list([]).clone,
    }
    for name, made in ways.items():
        for go in (number, in_a_circle, closed):
            went, again = go(made), go(made)
            if went != again:
                yield f"{name}, {go.__name__}: {went}, then {again}"
        seen_to_by = type(made().finalizer).__name__
        if seen_to_by != "Lent":
            yield f"{name}: {seen_to_by}"
    del ways, made
    if first != number(Fields):
        yield f"{first}, and at the end {number(Fields)}"
    kept = Fields()
    if kept.handle == number(Fields):
        yield "what is kept was given back"


def finalized():
    """What is wrong with an application's own."""
    from wasi_gateway import resources

    done = []
    for begin in (lambda: None, resources.offer):
        begin()
        if weakref.finalize is not FINALIZE:
            yield f"it is {weakref.finalize}"
        if hasattr(weakref, "nonsense"):
            yield "the module has whatever it is asked for"
        it = Kind()
        made = weakref.finalize(it, done.append, "done")
        other = resources.finalize(it, done.append, "too")
        if not (isinstance(made, weakref.finalize) and isinstance(other, weakref.finalize) and made.alive):
            yield f"{made} and {other}"
        del it
        if sorted(done) != ["done", "too"] or made.alive:
            yield f"it has done {done}"
        done.clear()
        resources.put_back()
        if type(weakref) is not type(gc) or weakref.finalize is not FINALIZE:
            yield "the module is not what it was"
    if not (isinstance(early, weakref.finalize) and early.peek()[0] is holder):
        yield f"{early} was there before"


def answer():
    return "\n".join([*lent(), *finalized()]) or "as it should be"
