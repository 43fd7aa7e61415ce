"""The app behind conformance.py: one behaviour a path. What the end-to-end tests ask for as well is in their `shapes`."""

import contextvars
import io
import os
import sys
import threading
import time

# Behind the rest: a test looks at the first entry.
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), *[os.pardir] * 3, "tests", "apps"))

import shapes
from shapes import Closing, closed

local = threading.local()
variable = contextvars.ContextVar("variable", default=0)


def answer(start, body, status="200 OK", headers=()):
    start(status, [("Content-Type", "text/plain"), *headers])
    return [body if isinstance(body, bytes) else body.encode()]


def environ_(environ, start):
    lines = []
    for key, value in sorted(environ.items()):
        lines.append("%s=%r" % (key, value))
    assert type(environ) is dict
    return answer(start, "\n".join(lines).encode("utf-8"))


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
    return Closing("generator", chunks())


def twice(environ, start):
    start("200 OK", [])
    start("200 OK", [])
    return [b"never"]


def none(environ, start):
    start("200 OK", [])
    return None


def short_generator(environ, start):
    start("200 OK", [("Content-Length", "10")])
    return Closing("short_generator", [b"abc"])


def long_generator(environ, start):
    start("200 OK", [("Content-Length", "3")])
    return Closing("long_generator", [b"ab", b"cdef", b"ghi"])


def sized_generator(environ, start):
    start("200 OK", [("Content-Length", "6")])
    return Closing("sized_generator", [b"abc", b"def"])


def no_content(environ, start):
    start("204 No Content", [])
    return Closing("no_content", [b"ignored"])


def not_modified(environ, start):
    start("304 Not Modified", [("ETag", '"x"')])
    return []


def hop(environ, start):
    return answer(start, "hop", headers=[("Connection", "close"), ("Transfer-Encoding", "chunked"), ("X-Tidegate", "cause=app_error")])


def bad_name(environ, start):
    return answer(start, "bad", headers=[("X Bad", "a")])


def bad_status(environ, start):
    return answer(start, "bad", status="OK")


def plain_status(environ, start):
    return answer(start, "plain", status="200")


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
    return answer(start, body)


def reads(environ, start):
    source = environ["wsgi.input"]
    out = [source.read(2), source.readline(), source.readline(3), source.readline(), source.read(0)]
    out.append(next(source))
    out.extend(source.readlines(1))
    out.extend(source)
    out.append(source.read(-1))
    return answer(start, repr(out))


def reads_late(environ, start):
    start("200 OK", [])
    def chunks():
        yield b"started "
        yield environ["wsgi.input"].read()
    return Closing("reads_late", chunks())


def reads_broken(environ, start):
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        closed.append("broken: " + type(error).__name__)
        raise
    return answer(start, "whole")


def spins(environ, start):
    while True:
        pass


def sleeps(environ, start):
    time.sleep(float(environ["QUERY_STRING"] or 3600))
    return answer(start, "slept")


def holds_gil(environ, start):
    import ctypes
    # A C function that PyDLL calls keeps the GIL.
    if os.name == "nt":
        ctypes.PyDLL("kernel32").Sleep(5000)
    else:
        ctypes.PyDLL(None).sleep(5)
    return answer(start, "held")


def stalls(environ, start):
    start("200 OK", [])
    def chunks():
        yield b"first"
        while True:
            time.sleep(0.01)
    return Closing("stalls", chunks())


def thread(environ, start):
    count = getattr(local, "count", 0) + 1
    local.count = count
    return answer(start, "%s %d" % (threading.current_thread().name, count))


def context(environ, start):
    variable.set(variable.get() + 1)
    start("200 OK", [])
    yield str(variable.get()).encode()


def complains(environ, start):
    environ["wsgi.errors"].write("x" * (1 << 20) + "\n")
    return answer(start, "complained")


def errors(environ, start):
    stream = environ["wsgi.errors"]
    stream.write("half a ")
    stream.flush()
    stream.writelines(["line\n", "second caf\xe9 line\n", "unfinished"])
    return answer(start, "ok")


def closes(environ, start):
    names = repr(closed)
    del closed[:]
    return answer(start, names)


def close_raises(environ, start):
    start("200 OK", [])
    return Closing("close_raises", [b"fine"], RuntimeError("in close"))


def state(environ, start):
    return answer(start, repr((sys.argv, os.getcwd(), os.environ.get("TIDEGATE_LAUNCH"), sys.path[0])))


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


def whole(environ, start):
    start("200 OK", [])
    return [filler(int(environ["QUERY_STRING"]))]


def pieces(environ, start):
    start("200 OK", [])
    return iter([filler(int(length)) for length in environ["QUERY_STRING"].split(",")])


def filler(length):
    return (b"0123456789abcdef" * (length // 16 + 1))[:length]


def application(environ, start):
    name = environ["PATH_INFO"].strip("/").partition("/")[0].replace("-", "_")
    handler = globals().get(name + "_") or globals().get(name) or getattr(shapes, "shape_" + name, None)
    if handler is None or name.startswith("_"):
        return environ_(environ, start)
    return handler(environ, start)


def factory():
    return application


not_callable = 3
