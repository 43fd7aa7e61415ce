"""PEP 3333, "Buffering and Streaming", "Handling the Content-Length Header", close(), file_wrapper; RFC 9110 on statuses
and methods without a body."""

import io
import os
import tempfile

from table import Table, answer, respond

table = Table()
application = table.application
row = table.row


def streamed(chunks, status="200 OK", headers=(), error=None):
    def app(environ, start):
        start(status, list(headers))
        return table.body(chunks(), error) if callable(chunks) else table.body(chunks, error)
    return app


def failing(*chunks, error=RuntimeError):
    def generate():
        yield from chunks
        raise error("in the iterable")
    return generate


class Sequence:
    def __getitem__(self, place):
        return [b"by ", b"index"][place]


class ClosingList(list):
    def close(self):
        table.closed.append("list")


# What an app may return.
for kind, body in (("list", [b"one ", b"two"]), ("tuple", (b"one ", b"two")), ("list of one", [b"one two"])):
    row("a %s goes out in one piece with its length" % kind, lambda environ, start, body=body: start("200 OK", []) and body,
        body=b"one two", fields={"content-length": b"7", "transfer-encoding": None})
for kind, chunks in (("nothing", []), ("an empty chunk", [b""]), ("empty chunks", [b"", b"", b""])):
    row("a list of %s is an empty body" % kind, answer(chunks=chunks), body=b"", fields={"content-length": b"0"})
    row("an iterable of %s is an empty body" % kind, streamed(chunks), body=b"", closed=1)
row("a generator without length is chunked", streamed([b"one ", b"two"]), body=b"one two", closed=1,
    fields={"transfer-encoding": b"chunked", "content-length": None})
row("a sequence without __iter__ is iterable",
    lambda environ, start: start("200 OK", []) and Sequence(), body=b"by index")
row("a list with close() is closed",
    lambda environ, start: start("200 OK", []) and ClosingList([b"x"]), body=b"x", closed=1)
row("a file is iterable", lambda environ, start: start("200 OK", []) and io.BytesIO(b"a\nb\n"), body=b"a\nb\n")
for value in (None, 1, b"bytes", "text"):
    row("%r is no iterable of bytes" % (value,), lambda environ, start, value=value: start("200 OK", []) and value,
        fails="TypeError")
for chunk in ("text", None, 1, bytearray(b"x"), [b"x"]):
    kind = type(chunk).__name__
    row("a chunk must be bytes, not %s, in a list" % kind, answer(chunks=[chunk]), fails="TypeError")
    row("a chunk must be bytes, not %s, in a list of two" % kind, answer(chunks=[b"x", chunk]), fails="TypeError")
    row("a chunk must be bytes, not %s, as the first" % kind, streamed([chunk]), fails="TypeError", closed=1)
    row("a chunk must be bytes, not %s, as a later one" % kind, streamed([b"x", chunk]), body=b"x", complete=False,
        closed=1)

# Content-Length is kept.
for name, headers, chunks, body, complete in (
    ("as long as said", "6", [b"abc", b"def"], b"abcdef", True), ("longer", "4", [b"abc", b"def"], b"abcd", True),
    ("shorter", "9", [b"abc", b"def"], b"abcdef", False), ("empty but not said to be", "3", [], b"", False),
    ("said to be empty", "0", [b"abc"], b"", True), ("long enough with its first chunk", "3", [b"abc", b"d"], b"abc", True),
):
    length = [("Content-Length", headers)]
    row("a list %s" % name, answer(headers=length, chunks=chunks), body=body, complete=complete)
    row("an iterable %s" % name, streamed(chunks, headers=length), body=body, complete=complete, closed=1)

# No body: RFC 9110 9.3.2, 15.3.5, 15.4.5.
for kind, make in (("list", lambda chunks, **more: answer(chunks=chunks, **more)), ("iterable", streamed)):
    row("HEAD of a %s has no body" % kind, make([b"abc"]), method="HEAD", body=b"")
    row("HEAD of a %s keeps its Content-Length" % kind, make([b"abc"], headers=(("Content-Length", "3"),)), method="HEAD",
        body=b"", fields={"content-length": b"3"})
    row("HEAD may claim a length without making a %s" % kind, make([], headers=(("Content-Length", "300"),)),
        method="HEAD", body=b"", fields={"content-length": b"300"})
    row("204 has neither body nor length (%s)" % kind, make([b"abc"], status="204 No Content"), status="204",
        fields={"content-length": None, "transfer-encoding": None})
    row("204 has no length even if the app says so (%s)" % kind,
        make([], status="204 No Content", headers=(("Content-Length", "0"),)), status="204",
        fields={"content-length": None, "transfer-encoding": None})
    row("304 has no body (%s)" % kind, make([b"abc"], status="304 Not Modified"), status="304",
        fields={"transfer-encoding": None})
    row("304 may claim the length of what it stands for (%s)" % kind,
        make([], status="304 Not Modified", headers=(("Content-Length", "300"),)), status="304", body=b"",
        fields={"transfer-encoding": None})

# close() is called once, whatever happens.
for name, app, more in (
    ("the end", streamed([b"x"]), dict(body=b"x")), ("an error before the head", streamed(failing()), dict(fails="in the iterable")),
    ("an error after the head", streamed(failing(b"x")), dict(body=b"x", complete=False)),
    ("SystemExit", streamed(failing(error=SystemExit)), dict(fails="SystemExit")),
    ("KeyboardInterrupt", streamed(failing(error=KeyboardInterrupt)), dict(fails="KeyboardInterrupt")),
    ("GeneratorExit", streamed(failing(b"x", error=GeneratorExit)), dict(body=b"x", complete=False)),
    ("a bad chunk", streamed([1]), dict(fails="TypeError")),
    ("a cut body", streamed([b"abcdef", b"g"], headers=[("Content-Length", "3")]), dict(body=b"abc")),
    ("a 204", streamed([b"abc"], status="204 No Content"), dict(status="204")),
):
    row("close() is called after %s" % name, app, closed=1, **more)
row("close() is called after HEAD", streamed([b"x"]), method="HEAD", closed=1)
row("an error in close() does not spoil the response", streamed([b"x"], error=RuntimeError("in close")), body=b"x",
    closed=1, log=b"RuntimeError: in close")
for error in (SystemExit, KeyboardInterrupt, RuntimeError, GeneratorExit, StopIteration, MemoryError):
    def raising(environ, start, error=error):
        raise error("from the app")
    row("%s from the app ends its request, not the worker" % error.__name__, raising, fails=error.__name__)


@row("an error after start_response but before the body is a 500", fails="ZeroDivisionError", fields={"x-a": None})
def error_after_start(environ, start):
    start("200 OK", [("X-A", "1")])
    return 1 / 0


# HTTP/1.0 knows no chunks: RFC 9112 6.1.
row("HTTP/1.0 gets the length of a list", answer(), version="1.0", body=b"ok",
    fields={"content-length": b"2", "transfer-encoding": None})
row("HTTP/1.0 gets no chunks", streamed([b"one ", b"two"]), version="1.0", body=b"one two",
    fields={"content-length": None, "transfer-encoding": None})
row("HTTP/1.0 gets a stream's length", streamed([b"abc", b"def"], headers=[("Content-Length", "6")]), version="1.0",
    body=b"abcdef", fields={"content-length": b"6", "transfer-encoding": None})


# wsgi.file_wrapper.
class Reader:
    """Has read() and nothing else but, if wanted, close()."""

    def __init__(self, data):
        self.file = io.BytesIO(data)
        self.sizes = []

    def read(self, size):
        self.sizes.append(size)
        return self.file.read(size)


class ClosingReader(Reader):
    def close(self):
        table.closed.append("reader")


def wrapped(make, *size, headers=()):
    def app(environ, start):
        start("200 OK", list(headers))
        return environ["wsgi.file_wrapper"](make(), *size)
    return app


row("file_wrapper needs read() only", wrapped(lambda: Reader(b"abc" * 50000)), body=b"abc" * 50000)
row("file_wrapper closes what can be closed", wrapped(lambda: ClosingReader(b"abc"), 2), body=b"abc", closed=1)
row("file_wrapper honours Content-Length", wrapped(lambda: ClosingReader(b"abcdef"), headers=[("Content-Length", "3")]),
    body=b"abc", closed=1)
row("file_wrapper of an empty file", wrapped(lambda: ClosingReader(b"")), body=b"", closed=1)
row("file_wrapper answers HEAD", wrapped(lambda: ClosingReader(b"abc")), method="HEAD", body=b"", closed=1)
row("file_wrapper refuses text", wrapped(lambda: io.StringIO("text")), fails="TypeError")


@row("file_wrapper starts where the file stands", body=b"def")
def from_the_middle(environ, start):
    file = io.BytesIO(b"abcdef")
    file.seek(3)
    return wrapped(lambda: file)(environ, start)


@row("file_wrapper gives a file on the disk from where it stands", body=b"0123456789" * 50000)
def on_the_disk(environ, start):
    with tempfile.TemporaryFile() as file:
        file.write(b"before" + b"0123456789" * 50000)
        copy = os.dup(file.fileno())
    reader = os.fdopen(copy, "rb")
    reader.seek(len(b"before"))
    return wrapped(lambda: reader, 7)(environ, start)


@row("file_wrapper asks for the block size", body=b"[5, 5]")
def block_size(environ, start):
    reader = Reader(b"abc")
    list(environ["wsgi.file_wrapper"](reader, 5))
    return respond(start, repr(reader.sizes).encode())


@row("file_wrapper is optional: an app may read it itself", body=b"abc")
def read_itself(environ, start):
    return respond(start, b"".join(environ["wsgi.file_wrapper"](Reader(b"abc"), 1)))
