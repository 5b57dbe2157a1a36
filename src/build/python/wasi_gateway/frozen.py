"""Modules and files when no file is left: from an archive that the component holds.

The archive is made by the host's Python: builder/archive.py describes its form. A path hook finds modules in it
(importlib's path-based finder), so that packages, namespaces and `pkgutil` are as anywhere.
"""

import _imp
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import sys
import zlib

# Where the application sees itself, and what it requires. Neither is a folder of the host's.
APPLICATION, SITE, LIBRARY = "/app", "/site-packages", "/python"
# Where they are in the archive.
PLACES = {APPLICATION: "app", SITE: "site", LIBRARY: "lib"}


class Archive:
    def __init__(self, data):
        size = int.from_bytes(data[:8], "little")
        self._data = data
        self._start = 8 + size
        # Path to (offset, length) of its compressed bytes.
        self.entries = json.loads(data[8 : 8 + size])
        # Each folder with the names of what is in it.
        self.folders = {"": set()}
        for path in self.entries:
            while path:
                parent, _, name = path.rpartition("/")
                known = parent in self.folders
                self.folders.setdefault(parent, set()).add(name)
                path = "" if known else parent

    @classmethod
    def of(cls, path):
        with open(path, "rb") as file:
            return cls(file.read())

    def read(self, place):
        offset, length = self.entries[place]
        begin = self._start + offset
        return zlib.decompress(self._data[begin : begin + length])


def place_of(path):
    """Where the archive would have what has this whole path, or None."""
    for root, place in PLACES.items():
        if path == root or path.startswith(root + "/"):
            return place + path[len(root) :]
    return None


class Imports:
    """The path hook. While the component is built, native modules and what is compiled already are in `native`, a
    folder that has the same files as SITE. The component holds the native modules, and knows them by the names that
    they have there, so that they can be imported later, too."""

    def __init__(self, archive, native):
        self.archive = archive
        self.native = native
        # Modules, and what is done with each once it has been imported.
        self.after = {}
        # Called before and after a module is executed.
        self.between = lambda: None
        # What each is imported from (as in SITE, without its suffix), and its name in the component.
        self.modules = {}
        # Not all of SITE is there: the time zones are in a folder of the tools'.
        self.there = set()
        for folder, _, names in os.walk(native):
            for name in names:
                self.there.add(f"{SITE}{folder[len(native) :]}/{name}")
                if suffix := next((it for it in importlib.machinery.EXTENSION_SUFFIXES if name.endswith(it)), None):
                    path = f"{SITE}{folder[len(native) :]}/{name.removesuffix(suffix)}"
                    self.modules[path] = f"{folder}/{name}"

    def install(self):
        sys.path_hooks.insert(0, self._finder)
        sys.meta_path.append(Distributions(self.archive))
        sys.path[:] = [APPLICATION, *(path for path in sys.path if path != self.native), SITE]
        sys.path_importer_cache.clear()

    def serve(self):
        """From here on no file is left but those of the archive."""
        self.native = None
        self.there.clear()
        sys.path[:] = [APPLICATION, LIBRARY, SITE]
        sys.path_importer_cache.clear()

    def real(self, path):
        """The same file in a folder, as long as that is there."""
        return self.native + path[len(SITE) :] if path in self.there else None

    def _finder(self, path):
        place = place_of(path)
        # Python's own library is a folder while the component is built.
        if place not in self.archive.folders or (self.native is not None and place.split("/")[0] == PLACES[LIBRARY]):
            raise ImportError(f"{path} is not in the archive")
        return Finder(self, path, place)


class Finder(importlib.abc.PathEntryFinder):
    """Finds the modules of one folder."""

    def __init__(self, imports, path, place):
        self._imports, self._archive = imports, imports.archive
        self._path, self._place = path, place

    def find_spec(self, fullname, target=None):
        tail = fullname.rpartition(".")[2]
        path, place = f"{self._path}/{tail}", f"{self._place}/{tail}"
        if f"{place}/__init__.py" in self._archive.entries:
            return self._spec(fullname, f"{path}/__init__.py", [path])
        if (native := self._imports.modules.get(path)) is not None:
            loader = importlib.machinery.ExtensionFileLoader(fullname, native)
            return importlib.util.spec_from_file_location(fullname, native, loader=loader)
        if f"{place}.py" in self._archive.entries:
            return self._spec(fullname, f"{path}.py", None)
        if place in self._archive.folders:
            # A part of a namespace package.
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [path]
            return spec
        return None

    def _spec(self, fullname, path, locations):
        loader = Loader(self._imports, path)
        return importlib.util.spec_from_file_location(fullname, path, loader=loader, submodule_search_locations=locations)

    def iter_modules(self, prefix=""):
        """What pkgutil asks for."""
        for name in sorted(self._archive.folders[self._place]):
            base, _, suffix = name.partition(".")
            if suffix == "py" and base != "__init__":
                yield prefix + base, False
            elif not suffix and f"{self._place}/{name}/__init__.py" in self._archive.entries:
                yield prefix + name, True


class Loader(importlib.abc.SourceLoader):
    def __init__(self, imports, path):
        self._imports, self.path = imports, path

    def get_filename(self, name=None):
        return self.path

    def exec_module(self, module):
        self._imports.between()
        super().exec_module(module)
        self._imports.between()
        if (adapt := self._imports.after.get(module.__name__)) is not None:
            adapt(module)

    def get_data(self, path):
        place = place_of(str(path))
        if place not in self._imports.archive.entries:
            raise FileNotFoundError(path)
        return self._imports.archive.read(place)

    def get_code(self, name):
        real = self._imports.real(self.path)
        if real is None:
            return super().get_code(name)
        # What was compiled for an earlier build is beside it.
        code = importlib.machinery.SourceFileLoader(name, real).get_code(name)
        _imp._fix_co_filename(code, self.path)
        return code

    def get_resource_reader(self, name):
        from importlib.readers import FileReader

        # Its paths are files to whoever opens them: see files.py.
        return FileReader(self)


class Distributions(importlib.abc.MetaPathFinder):
    """What importlib.metadata asks for; finds no modules."""

    def __init__(self, archive):
        self._archive = archive

    def find_spec(self, name, path=None, target=None):
        return None

    def find_distributions(self, context=None):
        from importlib.metadata import DistributionFinder

        wanted = (context or DistributionFinder.Context()).name
        for name in self._archive.folders.get(PLACES[SITE], ()):
            project = name.removesuffix(".dist-info")
            if project == name or f"site/{name}/METADATA" not in self._archive.entries:
                continue
            if wanted is None or _normal(project.split("-")[0]) == _normal(wanted):
                yield _distribution(self._archive, name)


def _normal(name):
    return name.lower().replace("-", "_").replace(".", "_")


def _distribution(archive, folder):
    import pathlib
    from importlib.metadata import Distribution

    class FrozenDistribution(Distribution):
        def read_text(self, filename):
            place = f"{PLACES[SITE]}/{folder}/{filename}"
            return archive.read(place).decode() if place in archive.entries else None

        def locate_file(self, path):
            return pathlib.Path(SITE, path)

    return FrozenDistribution()
