"""Packs a directory into a zip or a wheel, the same bytes for the same files.

Called by `cargo xtask package`: archive.py zip LEVEL OUT DIRECTORY, or archive.py wheel LEVEL OUT DIRECTORY
DIST_INFO, where LEVEL is zlib's, and DIST_INFO is the wheel's metadata directory below DIRECTORY, whose RECORD is made here.
"""

import base64
import hashlib
import os
import sys
import zipfile

# The oldest time that a zip can tell: packages do not depend on when they were made.
TIME = (1980, 1, 1, 0, 0, 0)


def files(directory):
    for parent, names, here in os.walk(directory):
        names.sort()
        for name in sorted(here):
            path = os.path.join(parent, name)
            yield path, os.path.relpath(path, directory).replace(os.sep, "/")


def add(archive, path, name, level):
    with open(path, "rb") as file:
        content = file.read()
    entry = zipfile.ZipInfo(name, TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3
    entry.external_attr = (0o100755 if os.access(path, os.X_OK) else 0o100644) << 16
    archive.writestr(entry, content, compresslevel=level)
    return content


def record_line(name, content):
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"


def main(kind, level, out, directory, dist_info=None):
    with zipfile.ZipFile(out, "w") as archive:
        record = "".join(record_line(name, add(archive, path, name, int(level))) for path, name in files(directory))
        if kind == "wheel":
            # The list of files holds itself, without a digest.
            record += f"{dist_info}/RECORD,,\n"
            entry = zipfile.ZipInfo(f"{dist_info}/RECORD", TIME)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, record)


main(*sys.argv[1:])
