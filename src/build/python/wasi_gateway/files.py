"""Files of the application at run time, when there are none: those that the archive holds, to be read only.

A file that the operator gave the component (`--dir`) is found first. The working directory is the application's own
folder, as it is where uvicorn runs it: `--dir-rw DIR::/app` makes it a directory of the host's, which can be written.
"""

import builtins
import errno
import io
import os
import stat
import sys

import _io

from . import appending, frozen, numbered

# No file of a component is older or younger.
TIME = 1_700_000_000
READ_ONLY = "the component's own files cannot be written; give it a directory with --dir-rw"
# What the host says of files that it has not given.
MISSING = {errno.ENOENT, errno.EBADF, getattr(errno, "ENOTCAPABLE", 76)}


class Files:
    def __init__(self, archive):
        self._archive = archive
        self._sizes = {}
        self.home = frozen.APPLICATION

    def whole(self, path):
        return os.path.normpath(os.path.join(self.home, os.fsdecode(path)))

    def place(self, path):
        """Where the archive has it, or None."""
        if isinstance(path, int):
            return None
        place = frozen.place_of(self.whole(path))
        return place if place in self._archive.entries or place in self._archive.folders else None

    def is_folder(self, place):
        return place in self._archive.folders and place not in self._archive.entries

    def read(self, place):
        return self._archive.read(place)

    def names(self, place):
        return sorted(self._archive.folders[place])

    def stat(self, place):
        folder = self.is_folder(place)
        mode = stat.S_IFDIR | 0o555 if folder else stat.S_IFREG | 0o444
        if not folder and place not in self._sizes:
            self._sizes[place] = len(self.read(place))
        size = 0 if folder else self._sizes[place]
        return os.stat_result((mode, hash(place) & 0xFFFFFFFF, 1, 1, 0, 0, size, TIME, TIME, TIME))


def install(archive):
    files = Files(archive)
    real = {"open": io.open}
    real |= {name: getattr(os, name) for name in ("stat", "lstat", "listdir", "scandir", "access", "chdir")}

    def open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        try:
            if appending.is_meant(mode) and opener is None and closefd and not isinstance(file, int):
                return numbered.stream(appending.Appending(file), mode, buffering, encoding, errors, newline)
            return real["open"](file, mode, buffering, encoding, errors, newline, closefd, opener)
        except OSError as error:
            if error.errno not in MISSING or isinstance(file, int):
                raise
            if set(mode) & set("wax+"):
                if files.place(os.path.dirname(files.whole(file))) is not None:
                    raise OSError(errno.EROFS, READ_ONLY, file) from None
                raise
            place = files.place(file)
            if place is None or files.is_folder(place):
                raise
        data = io.BytesIO(files.read(place))
        data.name = file
        return data if "b" in mode else io.TextIOWrapper(data, io.text_encoding(encoding), errors, newline)

    def by_place(name, answer):
        def function(path=".", *args, **kwargs):
            try:
                return real[name](path, *args, **kwargs)
            except OSError as error:
                place = files.place(path) if error.errno in MISSING else None
                if place is None:
                    raise
                return answer(path, place)

        return function

    def access(path, mode, **kwargs):
        return real["access"](path, mode, **kwargs) or (files.place(path) is not None and not mode & os.W_OK)

    def chdir(path):
        whole = files.whole(path)
        try:
            real["chdir"](path)
        except OSError:
            place = files.place(path)
            if place is None or not files.is_folder(place):
                raise
        files.home = whole

    builtins.open = io.open = open
    # What importlib loads a file with that somebody names, as a migration of Alembic's. It has it by the other name.
    io.open_code = _io.open_code = lambda path: open(path, "rb")
    if "tokenize" in sys.modules:
        # It keeps what it has found when it was imported, and shows the lines of tracebacks.
        sys.modules["tokenize"]._builtin_open = open
    os.getcwd = lambda: files.home
    os.getcwdb = lambda: os.fsencode(files.home)
    os.access, os.chdir = access, chdir
    os.stat = by_place("stat", lambda path, place: files.stat(place))
    os.lstat = by_place("lstat", lambda path, place: files.stat(place))
    os.listdir = by_place("listdir", lambda path, place: files.names(place))
    os.scandir = by_place("scandir", lambda path, place: Scan(files, path, place))


def enter():
    """Begins where the application is, for what is not written in Python (`sqlite3`), where the operator has given that
    directory."""
    try:
        os.chdir(frozen.APPLICATION)
    except OSError:
        pass


class Scan:
    """What os.scandir gives: an iterator and a context."""

    def __init__(self, files, path, place):
        base = os.fspath(path)
        self._entries = iter(
            [Entry(files, os.path.join(base, name), f"{place}/{name}".lstrip("/")) for name in files.names(place)]
        )

    def __iter__(self):
        return self._entries

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._entries = iter(())


class Entry:
    def __init__(self, files, path, place):
        self._files, self._place, self.path = files, place, path
        self.name = os.path.basename(path)

    def is_dir(self, *, follow_symlinks=True):
        return self._files.is_folder(self._place)

    def is_file(self, *, follow_symlinks=True):
        return not self.is_dir()

    def is_symlink(self):
        return False

    def is_junction(self):
        return False

    def stat(self, *, follow_symlinks=True):
        return self._files.stat(self._place)

    def inode(self):
        return 0

    def __fspath__(self):
        return self.path
