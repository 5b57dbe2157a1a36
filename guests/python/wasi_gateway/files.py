"""Files of the application at run time, when there are none: those that the archive holds, to be read only.

A file that the operator gave the component (`--dir`) is found first. Relative paths begin where `main.py` is, as
they do where uvicorn runs it.
"""

import builtins
import errno
import io
import os
import stat

# No file of a component is older or younger.
TIME = 1_700_000_000


class Files:
    def __init__(self, archive, roots):
        self._archive = archive
        # Longest first, so that a root within a root is found.
        self._roots = sorted((root.rstrip("/") + "/" for root in roots), key=len, reverse=True)
        self._folders = {"": set()}
        for path in archive.entries:
            while path:
                parent, _, name = path.rpartition("/")
                known = parent in self._folders
                self._folders.setdefault(parent, set()).add(name)
                path = "" if known else parent
        self._sizes = {}

    def place(self, path):
        """Where the archive has it, or None."""
        if isinstance(path, int):
            return None
        path = os.fsdecode(path)
        path = os.path.normpath(path)
        if not path.startswith("/"):
            path = "" if path == "." else path
        else:
            for root in self._roots:
                if (path + "/").startswith(root):
                    path = path[len(root) :]
                    break
            else:
                return None
        return path if path in self._archive.entries or path in self._folders else None

    def is_folder(self, place):
        return place in self._folders and place not in self._archive.entries

    def read(self, place):
        return self._archive.read(place)

    def names(self, place):
        return sorted(self._folders[place])

    def stat(self, place):
        folder = self.is_folder(place)
        mode = stat.S_IFDIR | 0o555 if folder else stat.S_IFREG | 0o444
        if not folder and place not in self._sizes:
            self._sizes[place] = len(self.read(place))
        size = 0 if folder else self._sizes[place]
        return os.stat_result((mode, hash(place) & 0xFFFFFFFF, 1, 1, 0, 0, size, TIME, TIME, TIME))


def install(archive, home, roots):
    files = Files(archive, roots)
    real = {"open": io.open, "stat": os.stat, "lstat": os.lstat, "listdir": os.listdir, "scandir": os.scandir}

    def missing(error):
        return error.errno in (errno.ENOENT, errno.ENOTCAPABLE if hasattr(errno, "ENOTCAPABLE") else 76, errno.EBADF)

    def open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        try:
            return real["open"](file, mode, buffering, encoding, errors, newline, closefd, opener)
        except OSError as error:
            place = files.place(file) if missing(error) else None
            if place is None or files.is_folder(place) or set(mode) - set("rbt"):
                raise
        data = io.BytesIO(files.read(place))
        data.name = file
        return data if "b" in mode else io.TextIOWrapper(data, io.text_encoding(encoding), errors, newline)

    def by_place(name, answer):
        def function(path=".", *args, **kwargs):
            try:
                return real[name](path, *args, **kwargs)
            except OSError as error:
                place = files.place(path) if missing(error) else None
                if place is None:
                    raise
                return answer(path, place)

        return function

    builtins.open = io.open = open
    os.getcwd = lambda: home
    os.stat = by_place("stat", lambda path, place: files.stat(place))
    os.lstat = by_place("lstat", lambda path, place: files.stat(place))
    os.listdir = by_place("listdir", lambda path, place: files.names(place))
    os.scandir = by_place("scandir", lambda path, place: Scan(files, path, place))


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

    def stat(self, *, follow_symlinks=True):
        return self._files.stat(self._place)

    def inode(self):
        return 0

    def __fspath__(self):
        return self.path
