"""Files below `/tmp` that are in the instance's memory, as long as the operator has given it no such directory: what
`tempfile` and those who use it write, who have nowhere else to. They count as the rest of its memory does, and go with it.
"""

import builtins
import errno
import io
import os
import shutil
import stat
import time

from . import numbered
from .files import MISSING, Scan

FOLDER = "/tmp"
ACCESS = os.O_RDONLY | os.O_WRONLY | os.O_RDWR


class Node:
    """A file, or a folder where it has `names`."""

    def __init__(self, number, is_folder, mode):
        self.number, self.mode = number, mode & 0o777
        self.data = bytearray()
        self.names = {} if is_folder else None
        self.changed = time.time()

    @property
    def is_folder(self):
        return self.names is not None

    def stat(self):
        kind = stat.S_IFDIR if self.is_folder else stat.S_IFREG
        times = (int(self.changed),) * 3 + (self.changed,) * 3 + (int(self.changed * 1e9),) * 3
        return os.stat_result((kind | self.mode, self.number, 3, 1, 0, 0, len(self.data), *times))


class Opened(numbered.Numbered):
    """A file that is open, with a position of its own."""

    def __init__(self, node, flags, path):
        super().__init__()
        self._node, self._at, self.name = node, 0, path
        self._reads, self._writes = flags & ACCESS != os.O_WRONLY, flags & ACCESS != os.O_RDONLY
        self._appends = bool(flags & os.O_APPEND)

    def readable(self):
        return self._reads

    def writable(self):
        return self._writes

    def seekable(self):
        return True

    def stat(self):
        return self._node.stat()

    def tell(self):
        return self._at

    def seek(self, position, how=os.SEEK_SET):
        at = position + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._node.data)}[how]
        if at < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = at
        return at

    def readinto(self, place):
        if not self._reads:
            raise io.UnsupportedOperation("not readable")
        piece = self._node.data[self._at : self._at + len(place)]
        place[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def write(self, data):
        if not self._writes:
            raise io.UnsupportedOperation("not writable")
        data, held = bytes(data), self._node.data
        if self._appends:
            self._at = len(held)
        if self._at > len(held):
            held.extend(bytes(self._at - len(held)))
        held[self._at : self._at + len(data)] = data
        self._at += len(data)
        self._node.changed = time.time()
        return len(data)

    def truncate(self, size=None):
        size = self._at if size is None else size
        held = self._node.data
        if size > len(held):
            held.extend(bytes(size - len(held)))
        del held[size:]
        self._node.changed = time.time()
        return size


class Tree:
    def __init__(self):
        self._numbers = 0
        self.root = self._node(True, 0o777)

    def _node(self, is_folder, mode):
        self._numbers += 1
        return Node(self._numbers, is_folder, mode)

    def find(self, path):
        """What has this path, or an error."""
        node = self.root
        for name in self._parts(path):
            if not node.is_folder:
                raise _error(errno.ENOTDIR, path)
            if (node := node.names.get(name)) is None:
                raise _error(errno.ENOENT, path)
        return node

    def _parts(self, path):
        return [name for name in path.split("/") if name][1:]

    def _around(self, path):
        """The folder that has, or would have, this path, and its name there."""
        folder, name = self.find(os.path.dirname(path)), os.path.basename(path)
        if path == FOLDER:
            raise _error(errno.EBUSY, path)
        if not folder.is_folder:
            raise _error(errno.ENOTDIR, path)
        return folder, name

    def open(self, path, flags, mode=0o777):
        """The open file."""
        if path == FOLDER:
            node = self.root
        else:
            folder, name = self._around(path)
            node = folder.names.get(name)
            if node is None:
                if not flags & os.O_CREAT:
                    raise _error(errno.ENOENT, path)
                node = folder.names[name] = self._node(False, mode)
            elif flags & os.O_EXCL:
                raise _error(errno.EEXIST, path)
        if node.is_folder:
            raise _error(errno.EISDIR, path)
        if flags & os.O_TRUNC:
            node.data.clear()
        return Opened(node, flags, path)

    def mkdir(self, path, mode=0o777):
        if path == FOLDER:
            raise _error(errno.EEXIST, path)
        folder, name = self._around(path)
        if name in folder.names:
            raise _error(errno.EEXIST, path)
        folder.names[name] = self._node(True, mode)

    def rmdir(self, path):
        folder, name = self._around(path)
        node = self.find(path)
        if not node.is_folder or node.names:
            raise _error(errno.ENOTEMPTY if node.is_folder else errno.ENOTDIR, path)
        del folder.names[name]

    def unlink(self, path):
        folder, name = self._around(path)
        if self.find(path).is_folder:
            raise _error(errno.EISDIR, path)
        del folder.names[name]

    def rename(self, source, target):
        node = self.find(source)
        folder, name = self._around(source)
        to, as_name = self._around(target)
        there = to.names.get(as_name)
        if there is node:
            return
        if there is not None and there.is_folder != node.is_folder:
            raise _error(errno.EISDIR if there.is_folder else errno.ENOTDIR, target)
        if there is not None and there.names or f"{target}/".startswith(f"{source}/"):
            raise _error(errno.ENOTEMPTY if there is not None else errno.EINVAL, target)
        del folder.names[name]
        to.names[as_name] = node

    def chmod(self, path, mode):
        self.find(path).mode = mode & 0o777

    def utime(self, path, times=None, *, ns=None):
        self.find(path).changed = times[1] if times else ns[1] / 1e9 if ns else time.time()

    def names(self, path):
        return sorted(self.folder(path).names)

    def folder(self, path):
        node = self.find(path)
        if not node.is_folder:
            raise _error(errno.ENOTDIR, path)
        return node

    def is_folder(self, path):
        return self.find(path).is_folder

    def stat(self, path):
        return self.find(path).stat()


def _error(number, path):
    return OSError(number, os.strerror(number), path)


def _flags(mode):
    if "+" in mode:
        flags = os.O_RDWR
    else:
        flags = os.O_RDONLY if "r" in mode else os.O_WRONLY
    return flags | {"w": os.O_CREAT | os.O_TRUNC, "x": os.O_CREAT | os.O_EXCL, "a": os.O_CREAT | os.O_APPEND}.get(
        mode.strip("bt+U"), 0
    )


def _mode_of_raw(mode):
    """What `io.FileIO` says of itself that was opened so."""
    kind = next((kind for kind in "xa" if kind in mode), None)
    if "+" in mode:
        return f"{kind or 'r'}b+"
    return f"{kind or ('w' if 'w' in mode else 'r')}b"


def install():
    """To be called when files.py has put its own functions in place, which are asked first."""
    tree, asked = Tree(), os.stat

    def place(path):
        """The path, if it is one of these and the operator has given no such directory."""
        if isinstance(path, int):
            return None
        whole = os.path.normpath(os.path.join(os.getcwd(), os.fsdecode(path)))
        if whole != FOLDER and not whole.startswith(FOLDER + "/"):
            return None
        try:
            asked(FOLDER)
        except OSError:
            return whole
        return None

    def beside(real, own):
        """The same function, and `own` where no file of the host's or the component's is meant."""

        def function(path=".", *args, dir_fd=None, **kwargs):
            given = {"dir_fd": dir_fd} if dir_fd is not None else {}
            try:
                return real(path, *args, **given, **kwargs)
            except OSError as error:
                whole = place(path) if error.errno in MISSING else None
                if whole is None:
                    raise
                try:
                    return own(whole, *args, **{name: it for name, it in kwargs.items() if name != "follow_symlinks"})
                except OSError as other:
                    raise other from None

        function.__name__ = real.__name__
        return function

    def both(real):
        def function(source, target, **kwargs):
            try:
                return real(source, target, **kwargs)
            except OSError as error:
                places = place(source), place(target)
                if error.errno not in MISSING or places == (None, None):
                    raise
                if None in places:
                    # As between two disks: whoever moves files copies them then.
                    raise OSError(errno.EXDEV, "Cross-device link", source) from None
            tree.rename(*places)

        return function

    really_open = io.open

    def open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        rest = (buffering, encoding, errors, newline)
        if isinstance(file, int) and file >= numbered.FIRST:
            return numbered.stream(numbered.Borrowed(numbered.of(file), file, closefd), mode, *rest)
        whole = None if opener is None else place(file)
        if whole is not None:
            number = opener(file, _flags(mode))
            return open(number, mode, *rest) if number >= numbered.FIRST else really_open(number, mode, *rest)
        try:
            return really_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        except OSError as error:
            whole = place(file) if error.errno in MISSING else None
            if whole is None:
                raise
        raw = tree.open(whole, _flags(mode), 0o666)
        raw.name, raw.mode = file, _mode_of_raw(mode)
        if "a" in mode:
            raw.seek(0, os.SEEK_END)
        return numbered.stream(raw, mode, *rest)

    builtins.open = io.open = open
    os.open = beside(os.open, lambda path, flags, mode=0o777: tree.open(path, flags, mode).fileno())
    os.stat = beside(os.stat, tree.stat)
    os.lstat = beside(os.lstat, tree.stat)
    os.listdir = beside(os.listdir, tree.names)
    os.scandir = beside(os.scandir, lambda path: Scan(tree, path, path))
    for name in ("mkdir", "rmdir", "chmod", "utime"):
        setattr(os, name, beside(getattr(os, name), getattr(tree, name)))
    os.unlink = os.remove = beside(os.unlink, tree.unlink)
    os.rename, os.replace = both(os.rename), both(os.replace)
    os.truncate = beside(os.truncate, lambda path, length: tree.open(path, os.O_RDWR).truncate(length) and None)
    access = os.access

    def is_accessible(path, mode, **kwargs):
        if access(path, mode, **kwargs):
            return True
        try:
            return place(path) is not None and tree.find(place(path)) is not None
        except OSError:
            return False

    os.access = is_accessible
    # It would go by numbers of folders, which these have not.
    shutil._use_fd_functions = False
    numbered.install()
