"""Apps behind wsgiref.validate, which raises when the worker breaks PEP 3333, and warns when it is doubtful."""

import io
import sys
import warnings
from wsgiref.validate import validator

warnings.simplefilter("error")
PLAIN = [("Content-Type", "text/plain")]


def list_(environ, start):
    start("200 OK", PLAIN)
    return [b"list"]


def generator(environ, start):
    start("200 OK", PLAIN)
    yield b"a "
    yield b"generator"


def late(environ, start):
    start("200 OK", PLAIN)
    yield b""
    yield b"late"


def write(environ, start):
    start("200 OK", PLAIN)(b"written")
    return []


def empty(environ, start):
    start("200 OK", PLAIN)
    return []


def no_content(environ, start):
    start("204 No Content", [])
    return []


def not_modified(environ, start):
    start("304 Not Modified", [("ETag", '"a"')])
    return []


def wrapper(environ, start):
    start("200 OK", PLAIN)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"file"), 2)


def replaced(environ, start):
    start("200 OK", PLAIN)
    try:
        raise ValueError
    except ValueError:
        start("500 Replaced", PLAIN, sys.exc_info())
    return [b"replaced"]


def errors(environ, start):
    environ["wsgi.errors"].write("a ")
    environ["wsgi.errors"].writelines(["line\n"])
    environ["wsgi.errors"].flush()
    start("200 OK", PLAIN)
    return [b"errors"]


def sized(environ, start):
    start("200 OK", [*PLAIN, ("Content-Length", "5")])
    return iter([b"si", b"zed"])


def read(environ, start):
    start("200 OK", PLAIN)
    return [b"".join(iter(lambda: environ["wsgi.input"].read(1000), b""))]


def lines(environ, start):
    start("200 OK", PLAIN)
    return [b"".join(environ["wsgi.input"])]


def readlines(environ, start):
    start("200 OK", PLAIN)
    return environ["wsgi.input"].readlines()


def choose(environ, start):
    name = environ["PATH_INFO"].split("/")[1].replace("-", "_")
    return (globals().get(name + "_") or globals()[name])(environ, start)


application = validator(choose)
