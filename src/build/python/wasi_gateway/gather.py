"""Has the code that requests run lie close together.

Code that runs is memory that is written: CPython notes in it which way conditions went, and counts when to look at an
instruction once more. Functions lie where importing their modules has put them, each between others that no request
calls, and each page that was written to is copied back from the snapshot for the next request.
"""

import gc
import sys
from types import CodeType, FunctionType

from . import frozen, heap


def gather(run, others):
    """Moves the code that `run` runs, that of the other functions, and the application's, which nobody has run. To a program
    it is the same code: it compares by what it says."""
    wanted = {id(function.__code__) for function in others}

    def note(frame, event, _):
        if event == "call":
            wanted.add(id(frame.f_code))

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    _move(wanted)
    # What CPython has found out about code, it finds out anew about what was moved.
    run()


def _move(wanted):
    gc.collect()
    # What is allocated next comes after all else.
    gaps = []
    heap.fill_gaps(gaps)
    # Code by where it was; what was moved stays until all has been.
    places = {}

    def moved(code):
        if id(code) not in places:
            constants = tuple(moved(it) if type(it) is CodeType else it for it in code.co_consts)
            # A function that makes functions has their code.
            if any(new is not old for new, old in zip(constants, code.co_consts)):
                new = code.replace(co_consts=constants)
            elif id(code) in wanted or code.co_filename.startswith(frozen.APPLICATION + "/"):
                new = code.replace()
            else:
                new = code
            places[id(code)] = code, new
        return places[id(code)][1]

    for function in [it for it in gc.get_objects() if type(it) is FunctionType]:
        code = function.__code__
        if (new := moved(code)) is not code:
            function.__code__ = new
