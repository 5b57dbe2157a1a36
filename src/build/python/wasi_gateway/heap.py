"""Has what requests allocate lie close together: fills the gaps of the heap before an instance becomes the snapshot.

What importing an application leaves free are thousands of gaps all over the heap. The C library takes the gap that fits
best, so a request would write to a page here and a page there, and each page that was written to is copied back from
the snapshot for the next one. With the gaps taken for good, requests use one stretch at the heap's end, again and again.
"""

# Larger gaps than this are not worth while: what fills one of that size has pages of its own anyway.
LARGEST = 1 << 16
# Up to this size CPython has pages for objects of each multiple of eight.
SMALL = 512
# Of a bytes object that has none.
LEAST = bytes.__basicsize__
# The end of the heap is where so much follows each other.
END = 2 << 20

_taken = []


def fill_gaps(taken=_taken):
    """Takes each gap that a small object would fit into, for as long as this list is there. To be called after the last
    garbage was collected."""
    try:
        # What was asked for at the end becomes one free stretch again.
        end, ahead = _end(taken)
        for size in _sizes():
            while id(it := bytes(size)) < end:
                taken.append(it)
    except MemoryError:
        # The instance may have no more: gaps stay, which costs time and nothing else.
        pass


def _end(taken):
    """Returns the address from which on nothing is in use, and what was allocated there to find out."""
    ahead = []
    while True:
        ahead.append(bytes(LARGEST))
        place = id(ahead[-1])
        # A gap among others, or what fell into one: the end is above.
        if len(ahead) > 1 and not 0 < place - id(ahead[-2]) < 2 * LARGEST:
            taken.extend(ahead[:-1])
            del ahead[:-1]
        if len(ahead) * LARGEST >= END:
            return id(ahead[0]), ahead


def _sizes():
    size = LARGEST
    while size > SMALL:
        yield size - LEAST
        size //= 2
    # Of those with one byte or none there is one object each, which takes no gap.
    yield from range(SMALL - LEAST, 1, -8)
