"""What an application requires, as a folder of modules for WASI: resolved, fetched, and built where need be."""

import json
import os
import re
import shutil
import zipfile
from pathlib import Path

from . import c, known, openssl, rust
from .say import Mistake, progress
from .tools import key, whole_or_not

# How long a package may take that has nothing to compile, in seconds.
LONGEST = 300
# How packages are told to do without their native part when they are built from source.
WITHOUT_NATIVE = {
    "CC": "false",
    "CXX": "false",
    "DISABLE_SQLALCHEMY_CEXT": "1",
    "MSGPACK_PUREPYTHON": "1",
    "AIOHTTP_NO_EXTENSIONS": "1",
    "MULTIDICT_NO_EXTENSIONS": "1",
    "YARL_NO_EXTENSIONS": "1",
    "FROZENLIST_NO_EXTENSIONS": "1",
    "PROPCACHE_NO_EXTENSIONS": "1",
    "WRAPT_INSTALL_EXTENSIONS": "false",
    "PYYAML_FORCE_LIBYAML": "0",
}


def folder(project, tools, cache, find_links):
    """The folder that holds all of it; made once for each set of requirements."""
    lines = [line for line in project.requirements if line.strip()]
    # They count with what is in them.
    local = [path.read_bytes() if path.is_file() else b"" for path in named_files(project)]
    here = Path(__file__)
    parts = ("requirements.py", "pip_for_wasi.py", "dependencies.py", "known.py", "libraries.py")
    parts += ("rust.py", "rust_packages.py", "c.py", "native_source.py")
    code = [openssl.mark(), *(path.read_bytes() for path in (*map(here.with_name, parts), *c.ours()))]
    kept = sorted(known.SERVERS & _imports(project))
    home = cache / ("site-" + key("\n".join(lines), *local, *code, *kept, *_wheels(find_links)))
    with whole_or_not(home) as unfinished:
        if unfinished is not None:
            _fill(unfinished, lines, project, tools, cache, find_links)
    return home


def _imports(project):
    """What the application imports, and the servers that its framework does."""
    return project.imports.union(*(known.SERVERS_OF.get(name, ()) for name in project.imports))


def _wheels(find_links):
    """What is in these folders, as words that change with it."""
    for wheel in (wheel for link in find_links for wheel in sorted(Path(link).glob("*.whl"))):
        about = wheel.stat()
        yield f"{wheel} {about.st_size} {about.st_mtime_ns}"


def named_files(project):
    """Files that the requirements name."""
    words = [line.split() for line in project.requirements]
    options = ("-r", "-c", "--requirement", "--constraint")
    return [_beside(project) / line[1] for line in words if len(line) > 1 and line[0] in options]


def _beside(project):
    """The folder that the requirements are written in."""
    return project.source.resolve().parent if project.source else project.folder


def _fill(home, lines, project, tools, cache, find_links):
    if not lines:
        return
    _judge_names(lines, project, find_links)
    listing = home / "requirements.txt"
    listing.write_text("\n".join(lines) + "\n")
    links = [word for link in find_links for word in ("--find-links", link)]
    progress(f"finding what {project.source.name} asks for")
    report = home / "report.json"
    # Beside what says so, as relative paths within it are meant: of files from there, of folders (`-e .`) from where
    # pip runs.
    near = _beside(project) / f".wasmserve-requirements-{os.getpid()}.txt"
    shutil.copy(listing, near)
    try:
        tools.pip(
            "install", "-q", "--dry-run", "--ignore-installed", "--report", report, "-r", near, *links,
            what="resolving the requirements", cwd=near.parent,
        )  # fmt: skip
    finally:
        near.unlink()
    found = json.loads(report.read_text())["install"]
    left_out = (known.SERVERS - _imports(project)) | known.OF_SERVERS
    graph = json.loads(tools.depend(report, left_out))
    if spared := _spared(found, graph, project):
        progress(f"leaving out {', '.join(sorted(spared))}, which others do without")
        graph = json.loads(tools.depend(report, left_out | spared))
    report.unlink()
    listing.unlink()
    wheels = home / "wheels"
    wheels.mkdir()
    wanted = [item for item in found if _name(item) in graph["kept"]]
    for item in (item for item in wanted if _name(item) in known.STAND_INS):
        _note_stand_in(item, home)
    pure, native = _sorted(item for item in wanted if _name(item) not in known.STAND_INS)
    for item in [*native, *(item for item in pure if _name(item) in known.CALLS_NATIVE)]:
        _judge(item, graph["asked"], find_links)
    for item in native:
        if _name(item) in rust.PACKAGES and rust.PACKAGES[_name(item)].has_openssl:
            openssl.check(cache, _title(item))
    progress(f"fetching {len(pure)} packages" + (f", and making {', '.join(_name(item) for item in native)}" if native else ""))
    if pure:
        tools.pip("download", "-q", "--no-deps", "--dest", wheels, *(_pin(item) for item in pure), *links, what="fetching")
    for sdist in [path for path in wheels.iterdir() if path.suffix != ".whl"]:
        progress(f"making {sdist.name} from source")
        _from_source(sdist, wheels, tools)
        sdist.unlink()
    target = home / "rust-target"
    for item in native:
        if _name(item) in rust.PACKAGES:
            shutil.copy(rust.wheel(_name(item), item["metadata"]["version"], tools, cache, target), wheels)
        elif _name(item) in c.PACKAGES:
            shutil.copy(c.wheel(_name(item), item["metadata"]["version"], tools, cache), wheels)
        else:
            progress(f"making {_title(item)} from source, without its native part")
            _from_source(f"{_name(item)}=={item['metadata']['version']}", wheels, tools, item, graph["asked"])
    shutil.rmtree(target, ignore_errors=True)
    for wheel in sorted(wheels.glob("*.whl")):
        _unpack(wheel, home)
    shutil.rmtree(wheels)


def _spared(found, graph, project):
    """What is asked for by those only who do without it."""
    named = {_name(item) for item in found if item.get("requested")} | {name.lower() for name in project.imports}
    kept = set(graph["kept"]) - named
    return {name for name, by in known.SPARED_BY.items() if name in kept and by.issuperset(graph["asked"].get(name, ()))}


def _note_stand_in(item, home):
    """Has the application find that it is there, in this version."""
    about = home / f"{_name(item)}-{item['metadata']['version']}.dist-info"
    about.mkdir()
    text = f"Metadata-Version: 2.1\nName: {_name(item)}\nVersion: {item['metadata']['version']}\n"
    (about / "METADATA").write_text(text)


def _sorted(found):
    pure, native = [], []
    for item in found:
        url = item["download_info"]["url"]
        tag = url.rsplit("/", 1)[1].split("#")[0].removesuffix(".whl").rsplit("-", 1)[-1]
        is_native = url.split("#")[0].endswith(".whl") and tag != "any" and "wasm32" not in tag
        (native if is_native else pure).append(item)
    return pure, native


def _judge_names(lines, project, find_links):
    """Says of what is named itself, before anything is fetched, that it cannot be had."""
    for line in lines:
        # What a marker says of it is pip's affair.
        named = re.match(r"\s*([A-Za-z0-9][\w.-]*)\s*(\[[^\]]*\])?[^;@]*$", line)
        name = re.sub(r"[-_.]+", "-", named[1]).lower() if named else None
        if name in known.NATIVE and name not in known.OF_SERVERS and not _has_wheel(name, find_links):
            raise Mistake(
                f"{named[1]}, which {project.source.name} asks for, has a native part that cannot be in a component: "
                f"{known.NATIVE[name]}"
            )


def _judge(item, asked, find_links):
    """Says at once what would be found out after minutes."""
    name = _name(item)
    if _has_wheel(name, find_links):
        return
    made = rust.PACKAGES.get(name) or c.PACKAGES.get(name)
    if made and made.since and _order(item["metadata"]["version"]) < _order(made.since):
        raise Mistake(f"{_title(item)}{_askers(name, asked)} is not known to build for WASI: ask for `{name}>={made.since}`")
    if (advice := known.NATIVE.get(name)) is not None:
        raise Mistake(f"{_title(item)}{_askers(name, asked)} has a native part that cannot be in a component: {advice}")


def _order(version):
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _has_wheel(name, find_links):
    begin = name.replace("-", "_") + "-"
    return any(path.name.lower().startswith(begin) for link in find_links for path in Path(link).glob("*wasi_wasm32.whl"))


def _askers(name, asked):
    """`, which a asks for, which b asks for` up to what the requirements name."""
    chain = []
    while (by := asked.get(name)) and by[0] not in chain:
        name = by[0]
        chain.append(name)
    words = [f", which {by} asks for" if at == 0 else f" (and {by} for that)" for at, by in enumerate(chain)]
    return "".join(words) + ("," if chain else "")


def _title(item):
    return f"{_name(item)} {item['metadata']['version']}"


def _name(item):
    return item["metadata"]["name"].lower().replace("_", "-").replace(".", "-")


def _pin(item):
    if item.get("is_direct"):
        return f"{item['metadata']['name']} @ {item['download_info']['url']}"
    return f"{item['metadata']['name']}=={item['metadata']['version']}"


def _from_source(what, wheels, tools, item=None, asked=None):
    """A wheel without a native part, from a package's source. Compilers fail there at once."""
    made = wheels / "made"
    made.mkdir()
    name = _name(item) if item else Path(what).name
    try:
        binary = ["--no-binary", name] if item else []
        tools.pip(
            "wheel", "--as-host", "-q", "--no-deps", "--ignore-requires-python", "--no-cache-dir", *binary, "-w", made, what,
            what=f"building {name} from source", env={**WITHOUT_NATIVE, **tools.without_compilers()}, timeout=LONGEST,
        )  # fmt: skip
        wheel = next(made.glob("*.whl"))
        native = [member for member in zipfile.ZipFile(wheel).namelist() if member.endswith((".so", ".pyd"))]
        if native:
            raise Mistake(f"it contains {native[0]}")
    except (Mistake, StopIteration) as error:
        title = f"{_title(item)}{_askers(name, asked)}" if item else name
        raise Mistake(
            f"{title} has a native part, and neither a wheel for WASI nor a form without that part. Take it out of the "
            "requirements, ask for another version, or build a wheel for `cp314-cp314-wasi_wasm32` and name its folder "
            f"with --find-links.\n{error}"
        ) from None
    shutil.move(wheel, wheels / wheel.name)
    made.rmdir()


def _unpack(wheel, home):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            # What a wheel installs beside the modules: scripts, headers. Modules may be there, too.
            top, _, rest = member.partition("/")
            if top.endswith(".data"):
                kind, _, rest = rest.partition("/")
                if kind not in ("purelib", "platlib") or not rest or member.endswith("/"):
                    continue
                target = home / rest
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(member))
            else:
                archive.extract(member, home)


