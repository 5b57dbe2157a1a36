"""Has JSON that is nested too deeply be an error, as it is elsewhere.

CPython notices that functions in C call each other too often by how much of the stack in memory is used. The parser of
JSON uses little of that, and a hundred thousand brackets use up the native stack first, which ends the instance.
"""

import json.decoder
from itertools import accumulate

# What is nested as deeply as this is read, written, compared and validated within the stack that there is.
MOST = 5000

_ESCAPES = ("\\\\", '\\"')
_OTHERS = bytes(number for number in range(256) if number not in b"[]{}")
_STEPS = [1 if number in b"[{" else -1 for number in range(256)]


def install():
    read = json.decoder.JSONDecoder.raw_decode

    def raw_decode(self, s, idx=0):
        # Most texts have fewer brackets than may be nested.
        if s.count("[") + s.count("{") > MOST and depth(s) > MOST:
            raise RecursionError("maximum recursion depth exceeded while decoding JSON")
        return read(self, s, idx)

    json.decoder.JSONDecoder.raw_decode = raw_decode


def depth(text):
    """How deeply a text is nested."""
    for escape in _ESCAPES:
        text = text.replace(escape, "")
    # Every second part is a string.
    text = "".join(text.split('"')[::2]).encode("utf-8", "replace").translate(None, _OTHERS)
    return max(accumulate(map(_STEPS.__getitem__, text)), default=0)
