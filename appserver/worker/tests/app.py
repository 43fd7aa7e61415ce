"""The app behind conformance.py: one behaviour a path."""

import contextvars
import io
import os
import sys
import threading
import time

closed = []
local = threading.local()
variable = contextvars.ContextVar("variable", default=0)


class Body:
    """An iterable with a close method that can be watched."""

    def __init__(self, chunks, name="body", error=None):
        self.chunks, self.name, self.error = iter(chunks), name, error

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.chunks)

    def close(self):
        closed.append(self.name)
        if self.error:
            raise self.error


def text(start, body, status="200 OK", headers=()):
    start(status, [("Content-Type", "text/plain"), *headers])
    return [body if isinstance(body, bytes) else body.encode()]


def environ_(environ, start):
    lines = []
    for key, value in sorted(environ.items()):
        lines.append("%s=%r" % (key, value))
    assert type(environ) is dict
    return text(start, "\n".join(lines).encode("utf-8"))


def list_(environ, start):
    start("200 OK", [("X-Two", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    return [b"", b"one ", b"two"]


def generator(environ, start):
    def chunks():
        yield b""
        start("201 Weird Reason", [("X-Late", "caf\xe9")])
        yield b"first "
        yield b""
        yield b"second"
    return Body(chunks(), "generator")


def write(environ, start):
    send = start("200 OK", [("Content-Type", "text/plain")])
    send(b"")
    send(b"written ")
    return [b"returned"]


def exc_info_before(environ, start):
    start("200 OK", [("X-Old", "1")])
    try:
        raise ValueError("early")
    except ValueError:
        start("503 Replaced", [("X-New", "1")], sys.exc_info())
    return [b"replaced"]


def exc_info_after(environ, start):
    send = start("200 OK", [])
    send(b"partial")
    try:
        raise ValueError("late")
    except ValueError:
        start("500 Late", [], sys.exc_info())
    return [b"never"]


def twice(environ, start):
    start("200 OK", [])
    start("200 OK", [])
    return [b"never"]


def never(environ, start):
    return [b"no head"]


def none(environ, start):
    start("200 OK", [])
    return None


def str_chunk(environ, start):
    start("200 OK", [])
    return ["text"]


def raises(environ, start):
    raise RuntimeError("on purpose")


def raises_late(environ, start):
    start("200 OK", [])
    def chunks():
        yield b"some"
        raise RuntimeError("too late")
    return Body(chunks(), "raises_late")


def exits(environ, start):
    sys.exit(3)


def interrupts(environ, start):
    raise KeyboardInterrupt


def short(environ, start):
    start("200 OK", [("Content-Length", "10")])
    return [b"abc"]


def short_generator(environ, start):
    start("200 OK", [("Content-Length", "10")])
    return Body([b"abc"], "short_generator")


def long(environ, start):
    start("200 OK", [("Content-Length", "3")])
    return [b"abcdef"]


def long_generator(environ, start):
    start("200 OK", [("Content-Length", "3")])
    return Body([b"ab", b"cdef", b"ghi"], "long_generator")


def sized_generator(environ, start):
    start("200 OK", [("Content-Length", "6")])
    return Body([b"abc", b"def"], "sized_generator")


def no_content(environ, start):
    start("204 No Content", [])
    return Body([b"ignored"], "no_content")


def not_modified(environ, start):
    start("304 Not Modified", [("ETag", '"x"')])
    return []


def hop(environ, start):
    return text(start, "hop", headers=[("Connection", "close"), ("Transfer-Encoding", "chunked"), ("X-Tidegate", "cause=app_error")])


def bad_header(environ, start):
    return text(start, "bad", headers=[("X-Bad", "a\r\nX-Evil: 1")])


def bad_name(environ, start):
    return text(start, "bad", headers=[("X Bad", "a")])


def bad_status(environ, start):
    return text(start, "bad", status="OK")


def plain_status(environ, start):
    return text(start, "plain", status="200")


def wrapper(environ, start):
    class OnlyRead:
        def __init__(self):
            self.file = io.BytesIO(b"skipped" + b"x" * 100000)
            self.file.read(7)
        def read(self, size):
            return self.file.read(size)
        def close(self):
            closed.append("wrapper")
    start("200 OK", [])
    return environ["wsgi.file_wrapper"](OnlyRead(), 8192)


def echo(environ, start):
    body = environ["wsgi.input"].read()
    assert environ["wsgi.input"].read() == b""
    assert environ["wsgi.input"].read(5) == b""
    return text(start, body)


def reads(environ, start):
    source = environ["wsgi.input"]
    out = [source.read(2), source.readline(), source.readline(3), source.readline(), source.read(0)]
    out.append(next(source))
    out.extend(source.readlines(1))
    out.extend(source)
    out.append(source.read(-1))
    return text(start, repr(out))


def ignores(environ, start):
    return text(start, "ignored")


def reads_late(environ, start):
    start("200 OK", [])
    def chunks():
        yield b"started "
        yield environ["wsgi.input"].read()
    return Body(chunks(), "reads_late")


def reads_broken(environ, start):
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        closed.append("broken: " + type(error).__name__)
        raise
    return text(start, "whole")


def spins(environ, start):
    while True:
        pass


def sleeps(environ, start):
    time.sleep(float(environ["QUERY_STRING"] or 3600))
    return text(start, "slept")


def holds_gil(environ, start):
    import ctypes
    # A C function that PyDLL calls keeps the GIL.
    if os.name == "nt":
        ctypes.PyDLL("kernel32").Sleep(5000)
    else:
        ctypes.PyDLL(None).sleep(5)
    return text(start, "held")


def stalls(environ, start):
    start("200 OK", [])
    def chunks():
        yield b"first"
        while True:
            time.sleep(0.01)
    return Body(chunks(), "stalls")


def endless(environ, start):
    start("200 OK", [])
    def chunks():
        while True:
            yield b"x" * 65536
    return Body(chunks(), "endless")


release = threading.Event()


def waits(environ, start):
    release.clear()
    start("200 OK", [])
    yield b"first"
    release.wait(30)
    yield b"second"


def releases(environ, start):
    release.set()
    return text(start, "released")


def thread(environ, start):
    count = getattr(local, "count", 0) + 1
    local.count = count
    return text(start, "%s %d" % (threading.current_thread().name, count))


def context(environ, start):
    variable.set(variable.get() + 1)
    start("200 OK", [])
    yield str(variable.get()).encode()


def errors(environ, start):
    stream = environ["wsgi.errors"]
    stream.write("half a ")
    stream.flush()
    stream.writelines(["line\n", "second caf\xe9 line\n", "unfinished"])
    return text(start, "ok")


def closes(environ, start):
    names = repr(closed)
    del closed[:]
    return text(start, names)


def close_raises(environ, start):
    start("200 OK", [])
    return Body([b"fine"], "close_raises", RuntimeError("in close"))


def state(environ, start):
    return text(start, repr((sys.argv, os.getcwd(), os.environ.get("TIDEGATE_LAUNCH"), sys.path[0])))


def other_thread(environ, start):
    def run():
        send = start("200 OK", [])
        send(b"from another thread ")
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return [b"and back"]


def big(environ, start):
    start("200 OK", [])
    return [b"y" * (4 << 20)]


def application(environ, start):
    name = environ["PATH_INFO"].strip("/").partition("/")[0].replace("-", "_")
    handler = globals().get(name + "_") or globals().get(name)
    if handler is None or name.startswith("_"):
        return environ_(environ, start)
    return handler(environ, start)


def factory():
    return application


not_callable = 3
