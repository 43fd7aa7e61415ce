"""PEP 3333, "Input and Error Streams": every way to read a body, whichever way it was sent."""

from table import Table, show

table = Table()
application = table.application
row = table.row

LINES = b"one\ntwo\r\n\nfour"
BIG = bytes(range(256)) * 1024 + b"end"


def chunked(data, size):
    pieces = [data[place:place + size] for place in range(0, len(data), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


WAYS = (
    ("with a length", lambda data: dict(data=data)),
    ("after Expect", lambda data: dict(data=data, headers=["Expect: 100-continue"])),
    ("in chunks of one", lambda data: dict(data=chunked(data, 1), headers=["Transfer-Encoding: chunked"], length=False)),
    ("in chunks of five", lambda data: dict(data=chunked(data, 5), headers=["Transfer-Encoding: chunked"], length=False)),
)

for operation, result in (
    ("i.read()", LINES), ("i.read(-1)", LINES), ("i.read(None)", LINES), ("i.read(0)", b""), ("i.read(3)", b"one"),
    ("i.read(1 << 40)", LINES), ("[i.read(2), i.read()]", [b"on", LINES[2:]]), ("[i.read(), i.read(), i.read(5)]", [LINES, b"", b""]),
    ("i.readline()", b"one\n"), ("i.readline(-1)", b"one\n"), ("i.readline(None)", b"one\n"), ("i.readline(2)", b"on"),
    ("i.readline(0)", b""), ("[i.readline(4), i.readline(99)]", [b"one\n", b"two\r\n"]),
    ("[i.readline() for _ in range(6)]", [b"one\n", b"two\r\n", b"\n", b"four", b"", b""]),
    ("i.readlines()", [b"one\n", b"two\r\n", b"\n", b"four"]), ("i.readlines(None)", [b"one\n", b"two\r\n", b"\n", b"four"]),
    ("i.readlines(0)", [b"one\n", b"two\r\n", b"\n", b"four"]), ("[i.readlines(4), i.read()]", [[b"one\n"], b"two\r\n\nfour"]),
    ("list(i)", [b"one\n", b"two\r\n", b"\n", b"four"]), ("[next(i), i.read(3), next(i)]", [b"one\n", b"two", b"\r\n"]),
    ("[list(i), list(i), i.read()]", [[b"one\n", b"two\r\n", b"\n", b"four"], [], b""]), ("iter(i) is i", True),
    ("b''.join(iter(lambda: i.read(1), b''))", LINES),
):
    for way, send in WAYS:
        if way == "after Expect" and operation not in ("i.read()", "list(i)"):
            continue
        app = show(lambda environ, code=compile(operation, operation, "eval"): eval(code, {"i": environ["wsgi.input"]}))
        row("%s of a body %s" % (operation, way), app, method="POST", body=repr(result).encode(), **send(LINES))

for operation, result in (("i.read()", b""), ("i.read(5)", b""), ("i.readline()", b""), ("i.readlines()", []), ("list(i)", [])):
    for name, more in (("GET without a body", dict()), ("POST without a length", dict(method="POST")),
                       ("POST of length 0", dict(method="POST", headers=["Content-Length: 0"])),
                       ("POST of no chunk", dict(method="POST", headers=["Transfer-Encoding: chunked"], data=b"0\r\n\r\n", length=False))):
        app = show(lambda environ, code=compile(operation, operation, "eval"): eval(code, {"i": environ["wsgi.input"]}))
        row("%s of a %s" % (operation, name), app, body=repr(result).encode(), **more)

whole = show(lambda environ: (lambda data: (len(data), sum(data)))(environ["wsgi.input"].read()))
pieces = show(lambda environ: sum(len(piece) for piece in iter(lambda: environ["wsgi.input"].read(1000), b"")))
for size in (1, 8191, 8192, 65535, 65536, 65537, len(BIG)):
    data = BIG[:size]
    for way, send in (WAYS[0], ("in chunks of 4096", lambda data: dict(data=chunked(data, 4096), headers=["Transfer-Encoding: chunked"], length=False))):
        row("%d bytes %s at once" % (size, way), whole, method="PUT", body=repr((size, sum(data))).encode(), **send(data))
        row("%d bytes %s in pieces" % (size, way), pieces, method="PUT", body=repr(size).encode(), **send(data))
for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
    row("%s may have a body" % method, show(lambda environ: environ["wsgi.input"].read()), method=method, data=b"abc",
        body=b"b'abc'")
row("a size must be a number", show(lambda environ: environ["wsgi.input"].read("3")), method="POST", data=b"abc",
    fails="TypeError")
row("chunk extensions and trailers are not the body", show(lambda environ: environ["wsgi.input"].read()), method="POST",
    headers=["Transfer-Encoding: chunked"], data=b"3;a=b\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n", length=False, body=b"b'abc'")
row("chunk sizes are hexadecimal, of either case", show(lambda environ: len(environ["wsgi.input"].read())), method="POST",
    headers=["Transfer-Encoding: chunked"], data=b"A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", length=False, body=b"21")
