"""Imports at run time, when no file is left: from an archive of the modules that the snapshot contains.

The archive is made by the host's Python: see builder/archive.py, which describes its form.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import io
import json
import zlib

ROOT = "/frozen/"


class Archive:
    def __init__(self, data):
        size = int.from_bytes(data[:8], "little")
        self._data = data
        self._start = 8 + size
        # Path to (offset, length) of its compressed bytes.
        self.entries = json.loads(data[8 : 8 + size])

    @classmethod
    def of(cls, path):
        with open(path, "rb") as file:
            return cls(file.read())

    def read(self, path):
        offset, length = self.entries[path]
        begin = self._start + offset
        return zlib.decompress(self._data[begin : begin + length])


class Finder(importlib.abc.MetaPathFinder):
    def __init__(self, archive):
        self.archive = archive

    def find_spec(self, name, path=None, target=None):
        base = name.replace(".", "/")
        for candidate, package in ((f"{base}/__init__.py", True), (f"{base}.py", False)):
            if candidate in self.archive.entries:
                loader = Loader(self.archive, candidate)
                spec = importlib.machinery.ModuleSpec(name, loader, origin=ROOT + candidate, is_package=package)
                spec.has_location = True
                if package:
                    spec.submodule_search_locations = [ROOT + base]
                return spec
        return None

    def find_distributions(self, context=None):
        from importlib.metadata import DistributionFinder

        wanted = (context or DistributionFinder.Context()).name
        for path in self.archive.entries:
            folder, _, name = path.partition(".dist-info/")
            if name == "METADATA" and (wanted is None or _normal(folder.split("-")[0]) == _normal(wanted)):
                yield _distribution(self.archive, f"{folder}.dist-info/")


def _normal(name):
    return name.lower().replace("-", "_").replace(".", "_")


def _distribution(archive, folder):
    from importlib.metadata import Distribution

    class FrozenDistribution(Distribution):
        def read_text(self, filename):
            path = folder + filename
            return archive.read(path).decode() if path in archive.entries else None

        def locate_file(self, path):
            return ROOT + str(path)

    return FrozenDistribution()


class Loader(importlib.abc.InspectLoader):
    def __init__(self, archive, path):
        self.archive = archive
        self.path = path

    def is_package(self, name):
        return self.path.endswith("/__init__.py")

    def get_source(self, name):
        return importlib.util.decode_source(self.archive.read(self.path))

    def get_data(self, path):
        try:
            return self.archive.read(str(path).removeprefix(ROOT))
        except KeyError:
            raise FileNotFoundError(path) from None

    def get_code(self, name):
        return compile(self.archive.read(self.path), ROOT + self.path, "exec", dont_inherit=True)

    def get_resource_reader(self, name):
        from importlib.readers import FileReader  # noqa: F401  (the protocol that this stands in for)

        return Resources(self.archive, self.path.rpartition("/")[0] + "/")


class Resources(importlib.abc.TraversableResources if hasattr(importlib.abc, "TraversableResources") else object):
    def __init__(self, archive, folder):
        self.archive, self.folder = archive, folder

    def open_resource(self, resource):
        try:
            return io.BytesIO(self.archive.read(self.folder + resource))
        except KeyError:
            raise FileNotFoundError(resource) from None

    def resource_path(self, resource):
        raise FileNotFoundError(resource)

    def is_resource(self, name):
        return self.folder + name in self.archive.entries

    def contents(self):
        for path in self.archive.entries:
            if path.startswith(self.folder) and "/" not in path[len(self.folder) :]:
                yield path[len(self.folder) :]
