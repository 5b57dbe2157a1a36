"""What is to be built: which folder, which module, which attribute of it, and what it requires."""

import ast
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .say import Mistake

NAMES = ("main.py", "app.py", "asgi.py", "wsgi.py", "application.py")


@dataclass
class Project:
    folder: Path
    module: str
    attribute: str
    # Lines as in a requirements.txt.
    requirements: list
    # The file that they are from, and other files that they name.
    source: Path | None


def read(path, app):
    path = Path(path)
    if not path.exists():
        raise Mistake(f"{path} does not exist")
    folder = path if path.is_dir() else path.parent
    module, _, attribute = (app or "").partition(":")
    attribute = attribute or "app"
    if path.is_file():
        module = module or path.stem
    elif not module:
        found = next((name for name in NAMES if (folder / name).is_file()), None)
        if found is None:
            raise Mistake(f"{folder} has none of {', '.join(NAMES)}: name the file, or the application with --app MODULE:NAME")
        module = found.removesuffix(".py")
    _look(folder, module, attribute)
    requirements, source = _requirements(folder)
    return Project(folder.resolve(), module, attribute, requirements, source)


def _look(folder, module, attribute):
    """Says early what a build would find out late."""
    base = folder / module.replace(".", "/")
    file = next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)
    if file is None:
        raise Mistake(f"there is no module `{module}` in {folder}")
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except SyntaxError as error:
        # Its syntax may be newer than this Python's; the one in the component judges.
        if "invalid syntax" not in str(error):
            raise Mistake(f"{file}:{error.lineno}: {error.msg}") from None
        return
    if not any(_binds(node, attribute.split(".")[0]) for node in ast.walk(tree)):
        raise Mistake(f"{file} has no `{attribute}`: name the application with --app {module}:NAME")


def _binds(node, name):
    if isinstance(node, ast.Name):
        return node.id == name and isinstance(node.ctx, ast.Store)
    if isinstance(node, ast.alias):
        return name in (node.asname, node.name.split(".")[0]) or node.name == "*"
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name == name


def _requirements(folder):
    listing = folder / "requirements.txt"
    if listing.is_file():
        return listing.read_text().splitlines(), listing
    settings = folder / "pyproject.toml"
    if settings.is_file():
        try:
            table = tomllib.loads(settings.read_text())
        except tomllib.TOMLDecodeError as error:
            raise Mistake(f"{settings}: {error}") from None
        return list(table.get("project", {}).get("dependencies", [])), settings
    return [], None
