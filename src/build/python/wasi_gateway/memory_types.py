"""`ctypes` without a library of C's, which WASI cannot load: types that say how bytes are laid out, and values in memory of
Python's. What would need the address of something, or a function, raises an OSError."""

import errno
import struct
import sys
import types

NOTHING_LOADED = "WASI loads no libraries at run time, so ctypes has the layout of memory only"
# As C has them for wasm32: the format of `struct`.
SIMPLE = {
    "c_bool": "?", "c_char": "c", "c_byte": "b", "c_ubyte": "B", "c_short": "h", "c_ushort": "H", "c_int": "i",
    "c_uint": "I", "c_long": "i", "c_ulong": "I", "c_longlong": "q", "c_ulonglong": "Q", "c_float": "f", "c_double": "d",
    "c_int8": "b", "c_uint8": "B", "c_int16": "h", "c_uint16": "H", "c_int32": "i", "c_uint32": "I", "c_int64": "q",
    "c_uint64": "Q", "c_size_t": "I", "c_ssize_t": "i", "c_time_t": "q", "c_voidp": "I", "c_void_p": "I",
    "c_char_p": "I", "c_wchar_p": "I", "c_wchar": "I", "py_object": "I", "c_longdouble": "d", "HRESULT": "i",
}  # fmt: skip


def _refused(*args, **kwargs):
    raise OSError(errno.ENOTSUP, NOTHING_LOADED)


class ArgumentError(Exception):
    pass


class Kind(type):
    """The type of types: `c_int * 3` is one."""

    def __mul__(cls, count):
        if count < 0:
            raise ValueError("Array length must be >= 0, not negative")
        return Kind(f"{cls.__name__}_Array_{count}", (Array,), {"_type_": cls, "_length_": count})

    __rmul__ = __mul__

    def __setattr__(cls, name, value):
        super().__setattr__(name, value)
        # Of one that has a part of its own kind.
        if name == "_fields_":
            cls._lay_out()

    def from_buffer(cls, source, offset=0):
        view = source._view if isinstance(source, Data) else memoryview(source)
        view = view.cast("B")
        if view.readonly:
            raise TypeError("underlying buffer is not writable")
        if len(view) < offset + cls._size_():
            raise ValueError(f"Buffer size too small ({len(view)} instead of at least {offset + cls._size_()} bytes)")
        return cls._at(view[offset : offset + cls._size_()])

    def from_buffer_copy(cls, source, offset=0):
        return cls.from_buffer(bytearray(memoryview(source._view if isinstance(source, Data) else source).cast("B")), offset)

    from_address = in_dll = _refused

    def from_param(cls, value):
        return value if isinstance(value, cls) else cls(value)

    def _at(cls, view):
        made = cls.__new__(cls)
        made._view = view
        return made


class Data(metaclass=Kind):
    """A value, whose bytes are in `_view`."""

    def __new__(cls, *args, **kwargs):
        made = object.__new__(cls)
        made._view = memoryview(bytearray(cls._size_()))
        return made

    def __buffer__(self, flags):
        return self._view


class Simple(Data):
    @classmethod
    def _size_(cls):
        return struct.calcsize("<" + cls._type_)

    _align_ = _size_

    def __init__(self, value=None):
        if value is not None:
            self.value = value

    @property
    def value(self):
        found = struct.unpack(self._order_ + self._type_, self._view)[0]
        return chr(found) if self._text_ else found

    @value.setter
    def value(self, value):
        if self._text_:
            value = ord(value)
        elif self._type_ in "bBhHiIqQ":
            if not isinstance(value, int):
                raise TypeError(f"an integer is required (got type {type(value).__name__})")
            # As in C, what does not fit is cut off.
            bits = 8 * self._size_()
            value &= (1 << bits) - 1
            if self._type_.islower() and value >> (bits - 1):
                value -= 1 << bits
        elif self._type_ == "c" and isinstance(value, int):
            value = bytes([value])
        self._view[:] = struct.pack(self._order_ + self._type_, value)

    _order_, _text_ = "<", False

    def __repr__(self):
        return f"{type(self).__name__}({self.value!r})"

    def __bool__(self):
        return bool(self.value) and self.value != b"\0"


def _get(kind, view):
    """What is read where a type is a part of another."""
    found = kind._at(view)
    if issubclass(kind, Array) and kind._type_._is_char():
        return found.value
    return found.value if isinstance(found, Simple) and Simple in kind.__bases__ else found


def _set(kind, view, value):
    if isinstance(value, Data):
        view[:] = value._view
    elif issubclass(kind, Simple):
        kind._at(view).value = value
    elif issubclass(kind, Array) and isinstance(value, bytes):
        view[: len(value)] = value
    else:
        view[:] = kind(*value)._view


class Array(Data):
    @classmethod
    def _size_(cls):
        return cls._type_._size_() * cls._length_

    @classmethod
    def _align_(cls):
        return cls._type_._align_()

    def __init__(self, *values):
        for at, value in enumerate(values):
            self[at] = value

    def __len__(self):
        return self._length_

    def _part(self, at):
        at = at + self._length_ if at < 0 else at
        if not 0 <= at < self._length_:
            raise IndexError("invalid index")
        size = self._type_._size_()
        return self._view[at * size : (at + 1) * size]

    def __getitem__(self, at):
        if isinstance(at, slice):
            found = [self[it] for it in range(*at.indices(self._length_))]
            return b"".join(found) if self._type_._is_char() else found
        return _get(self._type_, self._part(at))

    def __setitem__(self, at, value):
        if isinstance(at, slice):
            for it, one in zip(range(*at.indices(self._length_)), value, strict=True):
                self[it] = one
        else:
            _set(self._type_, self._part(at), value)

    @property
    def raw(self):
        return bytes(self._view)

    @raw.setter
    def raw(self, value):
        self._view[: len(value)] = value

    @property
    def value(self):
        return bytes(self._view).partition(b"\0")[0]

    @value.setter
    def value(self, value):
        self._view[: len(value)] = value
        if len(value) < len(self._view):
            self._view[len(value)] = 0


Data._is_char = classmethod(lambda cls: getattr(cls, "_type_", None) == "c")


class Field:
    def __init__(self, kind, offset):
        self.kind, self.offset, self.size = kind, offset, kind._size_()

    def __get__(self, holder, owner=None):
        return self if holder is None else _get(self.kind, holder._view[self.offset : self.offset + self.size])

    def __set__(self, holder, value):
        _set(self.kind, holder._view[self.offset : self.offset + self.size], value)


class Fields(Data):
    _pack_ = None
    _own_size = 0, 1
    _all = ()

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "_fields_" in vars(cls):
            cls._lay_out()

    @classmethod
    def _size_(cls):
        return cls._own_size[0]

    @classmethod
    def _align_(cls):
        return cls._own_size[1]

    @classmethod
    def _lay_out(cls):
        end, most = super(cls, cls)._own_size
        names = list(super(cls, cls)._all)
        for name, kind, *bits in cls._fields_:
            if bits:
                _refused()
            align = min(kind._align_(), cls._pack_ or kind._align_())
            begin = 0 if cls._overlaps else -(-end // align) * align
            setattr(cls, name, Field(cls._ordered(kind), begin))
            names.append(name)
            end, most = max(end, begin + kind._size_()), max(most, align)
        cls._own_size, cls._all = (-(-end // most) * most, most), tuple(names)

    _ordered = classmethod(lambda cls, kind: kind)

    def __init__(self, *values, **named):
        if len(values) > len(self._all):
            raise TypeError("too many initializers")
        for name, value in (*zip(self._all, values), *named.items()):
            setattr(self, name, value)


class Structure(Fields):
    _overlaps = False


class Union(Fields):
    _overlaps = True


class BigEndianStructure(Structure):
    @classmethod
    def _ordered(cls, kind):
        if Simple not in kind.__bases__:
            return kind
        return Kind(kind.__name__, (Simple,), {"_type_": kind._type_, "_order_": ">"})


class Library:
    """What cannot be loaded."""

    def __init__(self, *args, **kwargs):
        _refused()

    LoadLibrary = __getitem__ = _refused


class Loader:
    LoadLibrary = __getitem__ = staticmethod(_refused)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        _refused()


class Pointer(Data):
    _size_ = classmethod(lambda cls: 4)
    _align_ = _size_

    def __init__(self, *args):
        if args:
            _refused()

    contents = property(_refused)

    def __bool__(self):
        return False


def POINTER(kind):
    return Kind(f"LP_{getattr(kind, '__name__', kind)}", (Pointer,), {"_type_": kind})


def CFUNCTYPE(result, *arguments, **flags):
    return Kind("CFunctionType", (Pointer,), {"__init__": _refused})


def create_string_buffer(init, size=None):
    text = init if isinstance(init, bytes) else b""
    count = init if isinstance(init, int) else len(text) + 1 if size is None else size
    made = (SIMPLES["c_char"] * count)()
    made.raw = text
    return made


def sizeof(it):
    return it._size_()


def alignment(it):
    return it._align_()


def memset(target, value, count):
    target._view[:count] = bytes([value]) * count
    return target


def memmove(target, source, count):
    target._view[:count] = bytes(source if isinstance(source, (bytes, bytearray)) else source._view)[:count]
    return target


SIMPLES = {name: Kind(name, (Simple,), {"_type_": form, "_text_": name == "c_wchar"}) for name, form in SIMPLE.items()}


def names():
    own = (ArgumentError, Array, Structure, Union, BigEndianStructure, POINTER, CFUNCTYPE, create_string_buffer, sizeof,
           alignment, memset, memmove)  # fmt: skip
    calls = "addressof byref pointer cast string_at wstring_at resize PYFUNCTYPE WINFUNCTYPE py_object_of"
    found = {it.__name__: it for it in own} | {name: _refused for name in calls.split()} | SIMPLES
    found |= {"PYFUNCTYPE": CFUNCTYPE, "LittleEndianStructure": Structure, "c_buffer": create_string_buffer}
    found |= {"CDLL": Library, "PyDLL": Library, "LibraryLoader": Loader, "cdll": Loader(), "pydll": Loader()}
    found |= {"pythonapi": Loader(), "_SimpleCData": Simple, "_Pointer": Pointer, "_CFuncPtr": Pointer}
    number = types.SimpleNamespace(it=0)

    def set_errno(value):
        before, number.it = number.it, value
        return before

    return found | {
        "get_errno": lambda: number.it, "set_errno": set_errno, "RTLD_LOCAL": 0, "RTLD_GLOBAL": 256, "DEFAULT_MODE": 0,
        "__version__": "1.1.0", "util": _util(),
    }  # fmt: skip


def _util():
    module = types.ModuleType("ctypes.util")
    vars(module).update(names_of_util())
    return module


def names_of_util():
    return {"find_library": lambda name: None, "find_msvcrt": lambda: None}


assert sys.byteorder == "little"
