"""What is written below /tmp, and pipes, for tests. Under any Python that has a /tmp the same comes of it."""

import asyncio
import errno
import io
import os
import selectors
import shutil
import tempfile
import zipfile
from pathlib import Path


def written():
    """Files of `tempfile`, each in its own way."""
    with tempfile.TemporaryFile() as file:
        file.write(b"one\ntwo\n")
        file.seek(0)
        lines = file.readlines()
    with tempfile.NamedTemporaryFile("w+", suffix=".txt", encoding="utf-8", delete=False) as file:
        file.write("größer\n" * 3)
    size, text = os.stat(file.name).st_size, Path(file.name).read_text("utf-8")
    with open(file.name, "r+b") as again:
        again.seek(-4, os.SEEK_END)
        again.write(b"!!!!")
        again.truncate()
    with open(file.name, "ab") as again:
        again.write(b"end")
    whole = Path(file.name).read_bytes()
    os.unlink(file.name)
    number, path = tempfile.mkstemp()
    os.write(number, b"0123456789")
    os.lseek(number, 3, os.SEEK_SET)
    piece = os.read(number, 4)
    with os.fdopen(number, "r+b") as opened:
        rest = opened.read()
    os.remove(path)
    spooled = tempfile.SpooledTemporaryFile(max_size=10)
    spooled.write(b"x" * 100)
    spooled.seek(0)
    return lines, size, text == "größer\n" * 3, whole[-6:], os.path.exists(file.name), piece, rest, len(spooled.read())


def appended():
    """Files that are read and appended to, which another appends to meanwhile."""
    told = []
    with tempfile.TemporaryDirectory() as home:
        path = os.path.join(home, "appended")
        for mode, more in (("a+", {"encoding": "utf-8"}), ("ab+", {}), ("+ba", {"buffering": 0})):
            with open(path, mode, **more) as file:
                one = "ü\n" if "b" not in mode else b"two\n"
                told += [file.mode, file.tell(), file.read(), file.write(one), file.seek(0), file.read(), file.tell()]
                with open(path, "a") as other:
                    other.write("other\n")
                told += [file.read(), file.seek(2), file.write(one), file.flush(), file.tell(), file.read()]
                told += [file.seek(0), file.readline(), file.truncate(3), file.seek(0), file.read(), file.readable()]
            told.append(_outcome(lambda: file.closed and os.stat(path).st_size))
        told.append(_outcome(lambda: open(home, "a+")))
        told.append(_outcome(lambda: open(os.path.join(home, "nowhere", "x"), "a+")))
        told.append(sorted(os.listdir(home)))
    return told


def folders():
    with tempfile.TemporaryDirectory() as home:
        place = Path(home)
        (place / "a" / "b").mkdir(parents=True)
        (place / "a" / "b" / "c.txt").write_text("c")
        (place / "a" / "d.txt").write_text("d")
        shutil.copy(place / "a" / "d.txt", place / "e.txt")
        shutil.move(place / "e.txt", place / "a" / "b")
        os.rename(place / "a", place / "z")
        os.replace(place / "z" / "d.txt", place / "z" / "b" / "c.txt")
        names = sorted(str(path.relative_to(place)) for path in place.rglob("*"))
        kinds = sorted((entry.name, entry.is_dir(), entry.is_file()) for entry in os.scandir(place / "z" / "b"))
        shutil.make_archive(str(place / "packed"), "zip", place / "z")
        with zipfile.ZipFile(place / "packed.zip") as archive:
            packed = sorted(archive.namelist())
        shutil.copytree(place / "z", place / "y")
        shutil.rmtree(place / "z")
        left = sorted(os.listdir(place))
    return names, kinds, packed, left, os.path.exists(home), os.access("/tmp", os.W_OK)


def refused():
    """What each mistake is."""
    home = tempfile.mkdtemp()
    inside = os.path.join(home, "file")
    Path(inside).write_text("x")
    wrong = {
        "missing": lambda: open(os.path.join(home, "none")),
        "no folder": lambda: open(os.path.join(home, "none", "x"), "w"),
        "exclusive": lambda: open(inside, "x"),
        "a folder": lambda: open(home, "w"),
        "not a folder": lambda: os.listdir(inside),
        "through a file": lambda: os.stat(os.path.join(inside, "x")),
        "not empty": lambda: os.rmdir(home),
        "made twice": lambda: os.mkdir(home),
        "not there": lambda: os.unlink(os.path.join(home, "none")),
        "write only": lambda: open(inside, "w").read(),
    }
    told = [f"{name}:{_outcome(one)}" for name, one in wrong.items()]
    shutil.rmtree(home)
    return told


def pipes():
    reads, writes = os.pipe()
    os.write(writes, b"hello")
    os.set_blocking(reads, False)
    told = [os.read(reads, 3), os.read(reads, 10), _outcome(lambda: os.read(reads, 1)), os.get_blocking(reads)]
    with selectors.DefaultSelector() as selector:
        selector.register(reads, selectors.EVENT_READ)
        told.append(len(selector.select(0)))
        os.write(writes, b"!")
        told.append(len(selector.select(0)))
    told.append(os.read(reads, 10))
    with os.fdopen(writes, "w") as text:
        text.write("line\n")
    with os.fdopen(reads) as text:
        told.append(text.read())
    reads, writes = os.pipe()
    os.close(reads)
    told += [_outcome(lambda: os.write(writes, b"x")), os.close(writes), _outcome(lambda: os.close(writes))]
    return told


async def watched():
    """A pipe that asyncio watches, as a signal would wake it."""
    loop, reads_writes = asyncio.get_running_loop(), os.pipe()
    reads, writes = reads_writes
    os.set_blocking(reads, False)
    come = loop.create_future()
    loop.add_reader(reads, lambda: come.done() or come.set_result(os.read(reads, 10)))
    loop.call_later(0.01, os.write, writes, b"woken")
    found = await asyncio.wait_for(come, 5)
    loop.remove_reader(reads)
    os.close(reads), os.close(writes)
    return found


def _outcome(call):
    try:
        return call()
    except OSError as error:
        is_told_by_kind = type(error) is not OSError
        return type(error).__name__ if is_told_by_kind else errno.errorcode[error.errno]


async def answer(path):
    match path:
        case "/temporary/files":
            return repr(written())
        case "/temporary/appended":
            return repr(appended())
        case "/temporary/folders":
            return repr(folders())
        case "/temporary/refused":
            return repr(refused())
        case "/temporary/pipes":
            return repr((pipes(), await watched()))
        case "/temporary/kept":
            with open("/tmp/kept", "a+") as file:
                file.write("x")
            return str(os.stat("/tmp/kept").st_size)
    return None
