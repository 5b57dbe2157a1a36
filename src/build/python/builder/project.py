"""What is to be built: which folder, which module, which attribute of it."""

import ast
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from . import declared
from .say import Mistake, progress

# Looked for in this order, as `fastapi run` does, and then as WSGI's servers do.
STEMS = ("main", "app", "api", "asgi", "wsgi", "application")
FILES = [f"{stem}.py" for stem in STEMS]
NAMES = [*FILES, *(f"app/{name}" for name in FILES), "app/__init__.py"]
ATTRIBUTES = ("app", "api", "application")
FACTORIES = ("create_app", "make_app")
# Modules, and functions of modules, that Python for WASI does not have.
MISSING = {
    "bz2", "ctypes", "curses", "fcntl", "grp", "lzma", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty",
    "tkinter", "hashlib.scrypt",
}  # fmt: skip
# What an application is made by, under whatever name it is kept.
KINDS = {"FastAPI", "Starlette", "Flask", "Quart", "Litestar", "Sanic", "Falcon", "Bottle", "APIFlask"}


# What names a driver of the host's: as a module, and in a URL of SQLAlchemy's.
DATABASES = {
    "postgres": ("wasmserve_postgres", "postgresql+wasmserve"),
    "sqlite": ("wasmserve_sqlite", "sqlite+wasmserve"),
}


@dataclass
class Project:
    # What the application is imported from; all of it comes along.
    folder: Path
    module: str
    attribute: str
    # Lines as in a requirements.txt.
    requirements: list
    # The file that they are from, and other files that they name.
    source: Path | None
    # The first words of what its modules import.
    imports: set
    # The databases of the host's that its modules name.
    databases: list
    # What the user should know.
    notes: list


def read(path, app):
    path = Path(path)
    if not path.exists():
        raise Mistake(f"{path} does not exist")
    named = path if path.is_dir() else path.parent
    module, _, attribute = (app or _entrypoint(path) or "").partition(":")
    if module:
        folder = named
        if path.is_dir() or not _file(folder, module):
            # What is named is imported from here, or from where a package begins.
            places = [named, named / "src", *named.resolve().parents][:5]
            folder = next((it for it in places if _file(it, module)), named)
    else:
        file = path if path.is_file() else _found(path)
        folder, module = _import_of(file)
    attribute = _look(folder, module, attribute)
    requirements, source = declared.read(path, folder)
    if path.is_dir() or attribute != ATTRIBUTES[0]:
        progress(f"the application is {module}:{attribute}")
    imports, databases, notes = _imports(folder), _databases(folder), _notes(folder.resolve())
    return Project(folder.resolve(), module, attribute, requirements, source, imports, databases, notes)


def _entrypoint(path):
    """What `fastapi run` reads where no file is named."""
    settings = path / "pyproject.toml"
    try:
        table = tomllib.loads(settings.read_text()) if path.is_dir() and settings.is_file() else {}
    except tomllib.TOMLDecodeError as error:
        raise Mistake(f"{settings}: {error}") from None
    return table.get("tool", {}).get("fastapi", {}).get("entrypoint")


def _found(folder):
    for place in _places(folder):
        for name in NAMES:
            if (place / name).is_file():
                return place / name
    raise Mistake(f"{folder} has none of {', '.join(NAMES)}: name the file, or the application with --app MODULE:NAME")


def _places(folder):
    """Where an application may be: in the project's folder, beneath src, or in a package there."""
    yield folder
    yield folder / "src"
    yield from sorted(package.parent for package in folder.glob("src/*/__init__.py"))


def _import_of(file):
    """Where Python has to look, and for which module, so that this file is imported as its own imports expect."""
    file = file.resolve()
    folder, parts = file.parent, [file.stem]
    if file.stem == "__init__":
        folder, parts = folder.parent, [folder.name]
    elif not (folder / "__init__.py").is_file() and _is_namespace(folder):
        folder, parts = folder.parent, [folder.name, *parts]
    while (folder / "__init__.py").is_file():
        folder, parts = folder.parent, [folder.name, *parts]
    return folder, ".".join(parts)


def _is_namespace(folder):
    """Whether the files of a folder without an __init__.py call each other by the folder's name (`from app.db import …`)."""
    for file in folder.glob("*.py"):
        for node in nodes(file):
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                first, _, rest = node.module.partition(".")
                names = [rest] if rest else [alias.name for alias in node.names]
            elif isinstance(node, ast.Import):
                first, _, rest = node.names[0].name.partition(".")
                names = [rest]
            else:
                continue
            if first == folder.name and any(name and _exists(folder / name.split(".")[0]) for name in names):
                return True
    return False


def _exists(base):
    return base.is_dir() or base.with_suffix(".py").is_file()


def nodes(file):
    try:
        return list(ast.walk(ast.parse(file.read_bytes())))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []


def _file(folder, module):
    base = folder / module.replace(".", "/")
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


def _look(folder, module, attribute):
    """The attribute that is the application; says early what a build would find out late."""
    file = _file(folder, module)
    if file is None:
        raise Mistake(f"there is no module `{module}` in {folder}")
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except SyntaxError as error:
        # Its syntax may be newer than this Python's; the one in the component judges.
        if "invalid syntax" not in str(error):
            raise Mistake(f"{file}:{error.lineno}: {error.msg}") from None
        return attribute or ATTRIBUTES[0]
    bound = [name for node in _outer(tree) for name in _bound(node)]
    if attribute:
        name = re.split(r"[.(]", attribute)[0]
        if name not in bound and "*" not in bound:
            raise Mistake(f"{file} has no `{name}`: name the application with --app {module}:NAME")
        if any(_is_named_factory(node, attribute) for node in tree.body):
            # As uvicorn takes it, which says so too.
            progress(f"{attribute} is a function without arguments: it is called, and makes the application")
            return f"{attribute}()"
        return attribute
    made = [name for node in tree.body for name in _made(node)]
    factories = [f"{node.name}()" for node in tree.body if isinstance(node, ast.FunctionDef) and _is_factory(node)]
    for name in [*(name for name in ATTRIBUTES if name in bound), *made, *factories]:
        return name
    if "*" in bound:
        return ATTRIBUTES[0]
    raise Mistake(f"{file} has no `app`: name the application with --app {module}:NAME")


def _outer(node):
    """What is executed when a module is imported: all but what is in functions and classes."""
    yield node
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from _outer(child)


def _bound(node):
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.alias):
        yield from filter(None, (node.asname or node.name.split(".")[0],))
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name


def _made(node):
    """Names that are given to what a framework's class makes."""
    value = getattr(node, "value", None)
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or not isinstance(value, ast.Call):
        return
    kind = value.func
    if (kind.attr if isinstance(kind, ast.Attribute) else getattr(kind, "id", None)) in KINDS:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _is_factory(node):
    return node.name in FACTORIES and _needs_nothing(node)


def _is_named_factory(node, name):
    """Whether this is a plain function of that name: a decorator may make an application of one."""
    is_plain = isinstance(node, ast.FunctionDef) and not node.decorator_list
    return is_plain and node.name == name and _needs_nothing(node) and not node.args.vararg


def _needs_nothing(node):
    """Whether a function can be called without arguments."""
    positional = len(node.args.posonlyargs) + len(node.args.args) - len(node.args.defaults)
    return positional == 0 and None not in node.args.kw_defaults


def _imports(folder):
    found = set()
    for file in sources(folder):
        for node in nodes(file):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.split(".")[0])
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                # As settings of `logging` name a class: "uvicorn.logging.DefaultFormatter".
                if named := re.fullmatch(r"([a-z]\w*)(\.\w+)+", node.value):
                    found.add(named[1])
    return found


def _databases(folder):
    """Which drivers of the host's an application imports, or has SQLAlchemy use: only then has the host to have them."""
    texts = [file.read_text(errors="replace") for file in sources(folder)]
    return [name for name, words in DATABASES.items() if any(word in text for text in texts for word in words)]


def _notes(folder):
    found = []
    for file in sources(folder):
        for node in nodes(file):
            for name in sorted(_named(node) & MISSING):
                found.append(f"{file.relative_to(folder)}:{node.lineno} names `{name}`, which Python for WASI does not have")
    if (folder / ".env").is_file():
        found.append(".env stays out of the component, as it may hold secrets: serve with `--env-file .env`")
    return found


def _named(node):
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return {node.module.split(".")[0], *(f"{node.module}.{alias.name}" for alias in node.names)}
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return {f"{node.value.id}.{node.attr}"}
    return set()


def sources(folder):
    from .archive import files

    return [Path(path) for path in files(folder) if path.endswith(".py")]
