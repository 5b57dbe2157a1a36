"""What a project says that it requires: requirements.txt, pyproject.toml (PEP 621 or Poetry), or the file itself (PEP 723)."""

import re
import tomllib
from pathlib import Path

from .say import Mistake

SCRIPT = re.compile(r"(?m)^# /// script\s*$\s(?P<text>(^#(| .*)$\s)+)^# ///$")
# How far up from the application's folder.
LEVELS = 3


def read(path, folder):
    """Lines as in a requirements.txt, and the file that they are from."""
    if path.is_file() and (found := _of_script(path)) is not None:
        return found, path
    for place in _places(path if path.is_dir() else path.parent, folder):
        listing, settings = place / "requirements.txt", place / "pyproject.toml"
        if listing.is_file():
            return listing.read_text().splitlines(), listing
        if settings.is_file():
            return _of_settings(settings), settings
    return [], None


def _places(named, folder):
    """Where it may be written: beside what was named, beside the packages, and above, within the same repository."""
    folder = folder.resolve()
    yield named
    yield folder
    for _ in range(LEVELS):
        if (folder / ".git").exists() or folder.parent in (folder, Path.home()):
            return
        folder = folder.parent
        if folder.parent == folder:
            return
        yield folder


def _parsed(text, file):
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Mistake(f"{file}: {error}") from None


def _of_script(file):
    found = SCRIPT.search(file.read_text(errors="replace"))
    if not found:
        return None
    lines = found["text"].splitlines()
    text = "\n".join(line[2:] if line.startswith("# ") else line[1:] for line in lines)
    return list(_parsed(text, file).get("dependencies", []))


def _of_settings(file):
    table = _parsed(file.read_text(), file)
    project = table.get("project", {})
    if "dependencies" in project:
        return list(project["dependencies"])
    poetry = table.get("tool", {}).get("poetry", {}).get("dependencies", {})
    return [_of_poetry(name, value) for name, value in poetry.items() if name != "python"]


def _of_poetry(name, value):
    if isinstance(value, str):
        value = {"version": value}
    if not isinstance(value, dict) or not value.keys() & {"version", "git", "url"}:
        raise Mistake(f"`{name}` in [tool.poetry.dependencies] is of a form that is not known here: write a requirements.txt")
    extras = f"[{','.join(value['extras'])}]" if value.get("extras") else ""
    if "git" in value:
        revision = value.get("tag") or value.get("rev") or value.get("branch")
        return f"{name}{extras} @ git+{value['git']}" + (f"@{revision}" if revision else "")
    if "url" in value:
        return f"{name}{extras} @ {value['url']}"
    marker = f" ; {value['markers']}" if value.get("markers") else ""
    return name + extras + ",".join(_bounds(part.strip()) for part in value["version"].split(",")) + marker


def _bounds(version):
    """Poetry's `^1.2`, `~1.2` and `1.2` in the form of PEP 440."""
    if version in ("", "*"):
        return ""
    if version[0] not in "^~" or version.startswith("~="):
        return version if version[0] in "<>=!~" else f"=={version}"
    numbers = [int(part) for part in re.findall(r"\d+", version.split("-")[0])]
    if version[0] == "^":
        kept = next((at for at, number in enumerate(numbers) if number), len(numbers) - 1)
    else:
        kept = min(1, len(numbers) - 1)
    above = [*numbers[:kept], numbers[kept] + 1]
    return f">={version[1:]},<{'.'.join(map(str, above))}"
