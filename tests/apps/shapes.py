"""Responses of every shape that PEP 3333 allows, and of some that it does not. The path names the shape. The worker's own
tests ask for them too."""
import hashlib
import io
import json
import os
import sys
import threading

closed = []
gate = threading.Event()
TEXT = [("Content-Type", "text/plain")]


class Closing:
    """An iterable that counts its close(), which may raise."""

    def __init__(self, name, chunks, error=None):
        self.name = name
        self.chunks = iter(chunks)
        self.error = error

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.chunks)

    def close(self):
        closed.append(self.name)
        if self.error:
            raise self.error


def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/").replace("/", "_").replace("-", "_")
    return globals()["shape_" + name](environ, start_response)


def shape_list(environ, start_response):
    start_response("200 Quite Fine", TEXT + [("Content-Length", "5")])
    return [b"he", b"llo"]


def shape_generator(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"one "
    yield b""
    yield b"two"


def shape_late_start(environ, start_response):
    def chunks():
        start_response("201 Created", TEXT)
        yield b"made"

    return chunks()


def shape_write(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"")
    write(b"written ")
    write(b"twice, ")
    return [b"then returned"]


def shape_exc_info_before(environ, start_response):
    start_response("200 OK", TEXT + [("X-Old", "1")])
    try:
        raise ValueError("changed my mind")
    except ValueError:
        start_response("418 Teapot", TEXT, sys.exc_info())
    return [b"replaced"]


def shape_exc_info_after(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"sent"
    try:
        raise ValueError("too late to say")
    except ValueError:
        start_response("500 Oops", TEXT, sys.exc_info())
    yield b"never sent"


def shape_raises(environ, start_response):
    secret = "sesame"
    raise RuntimeError("the app's own trouble with " + secret)


def shape_raises_midway(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"first half"
    raise RuntimeError("trouble midway")


def shape_no_start(environ, start_response):
    return [b"never started"]


def shape_short(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "10")])
    return [b"short"]


def shape_long(environ, start_response):
    start_response("200 OK", TEXT + [("Content-Length", "4")])
    return [b"longer than said"]


def shape_exit(environ, start_response):
    sys.exit(3)


def shape_interrupt(environ, start_response):
    raise KeyboardInterrupt


def shape_split(environ, start_response):
    start_response("200 OK", [("X-Evil", "a\r\nX-Injected: b")])
    return [b""]


def shape_text(environ, start_response):
    start_response("200 OK", TEXT)
    return ["not bytes"]


def shape_closing(environ, start_response):
    start_response("200 OK", TEXT)
    return Closing("whole", [b"a", b"b"])


def shape_closing_raises(environ, start_response):
    def chunks():
        yield b"a"
        raise RuntimeError("while iterating")

    start_response("200 OK", TEXT)
    return Closing("raised", chunks())


def shape_closing_endless(environ, start_response):
    def chunks():
        while True:
            yield b"x" * 65536

    start_response("200 OK", TEXT)
    return Closing("endless", chunks())


def shape_closed(environ, start_response):
    start_response("200 OK", TEXT)
    return [json.dumps(sorted(closed)).encode()]


def shape_file(environ, start_response):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shapes.py")
    start_response("200 OK", [("Content-Length", str(os.path.getsize(path)))])
    return environ["wsgi.file_wrapper"](open(path, "rb"), 1000)


def shape_file_object(environ, start_response):
    start_response("200 OK", TEXT)
    file = io.BytesIO(b"skipped, kept")
    file.seek(9)
    return environ["wsgi.file_wrapper"](file)


def shape_digest(environ, start_response):
    digest, size = hashlib.sha256(), 0
    while True:
        piece = environ["wsgi.input"].read(70001)
        if not piece:
            break
        size += len(piece)
        digest.update(piece)
    start_response("200 OK", TEXT)
    return [f"{size} {digest.hexdigest()}".encode()]


def shape_echo(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return iter(lambda: environ["wsgi.input"].read(50000), b"")


def shape_lines(environ, start_response):
    source = environ["wsgi.input"]
    seen = [source.readline(), source.read(2), source.readline(3), source.readlines(), source.read(), source.read(5)]
    start_response("200 OK", TEXT)
    return [repr(seen).encode()]


def shape_unread(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"not read"]


def shape_cookies(environ, start_response):
    start_response("200 OK", [("Set-Cookie", "a=1"), ("X-Between", "x"), ("Set-Cookie", "b=2"), ("Set-Cookie", "a=3")])
    return [environ.get("HTTP_COOKIE", "").encode()]


def shape_latin(environ, start_response):
    start_response("200 OK", [("X-Latin", "caf\xe9")])
    return [environ.get("HTTP_X_LATIN", "").encode("latin-1")]


def shape_empty(environ, start_response):
    start_response("204 No Content", [])
    return []


def shape_stream(environ, start_response):
    gate.clear()
    start_response("200 OK", TEXT)
    yield b"before the gate"
    gate.wait(60)
    yield b"after the gate"


def shape_open(environ, start_response):
    gate.set()
    start_response("200 OK", TEXT)
    return [b"opened"]
