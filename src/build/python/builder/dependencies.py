"""Who asks for which package, from pip's report of what it would install. Runs with the Python that has pip; prints JSON.

    python dependencies.py REPORT NAME…

The NAMEs are packages that are left out, with what only they ask for. `kept` are the others, `asked` says of each package
which ones ask for it.
"""

import json
import sys

import pip_for_wasi
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

report, left_out = json.load(open(sys.argv[1]))["install"], set(sys.argv[2:])
packages = {canonicalize_name(item["metadata"]["name"]): item for item in report}
environment = pip_for_wasi.environment()


def asked_by(name, extras):
    """The packages, each with its extras, that one asks for when it is itself asked for with these."""
    for line in packages[name]["metadata"].get("requires_dist", []):
        asked = Requirement(line)
        for extra in ["", *extras]:
            if asked.marker is None or asked.marker.evaluate({**environment, "extra": extra}):
                yield canonicalize_name(asked.name), frozenset(asked.extras)
                break


asked, kept, seen = {}, set(), set()
# Each with whether it is kept.
left = [(name, frozenset(item.get("requested_extras", ())), True) for name, item in packages.items() if item["requested"]]
while left:
    name, extras, is_kept = left.pop()
    is_kept = is_kept and name not in left_out
    if name not in packages or (name, extras, is_kept) in seen:
        continue
    seen.add((name, extras, is_kept))
    if is_kept:
        kept.add(name)
    for other, wanted in asked_by(name, extras):
        by = asked.setdefault(other, [])
        if name not in by:
            by.append(name)
        left.append((other, wanted, is_kept))
print(json.dumps({"kept": sorted(kept), "asked": asked}))
