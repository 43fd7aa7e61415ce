"""PEP 3333, "The start_response() Callable": status, headers, exc_info, write()."""

from table import Table, answer, raised, respond

table = Table()
application = table.application
row = table.row

# Status: "a status string of the form '999 Message here'", in our words: three digits, a space, the reason.
for status, code, reason in (
    ("200 OK", "200", "OK"), ("404 Not Found", "404", "Not Found"), ("200 Fine", "200", "Fine"),
    ("299 Mostly Right", "299", "Mostly Right"), ("404 not found", "404", "not found"), ("599 Odd", "599", "Odd"),
    ("418 I'm a \xe9 teapot", "418", "I'm a \xe9 teapot"), ("200 OK: with (signs)", "200", "OK: with (signs)"),
    ("200  Two spaces", "200", " Two spaces"), ("503 A\tTab", "503", "A\tTab"),
):
    row("status %r goes out as it is" % status, answer(status), status=code, reason=reason)
row("a status without a reason gets the usual one", answer("404"), status="404", reason="Not Found")
row("an empty reason is replaced too", answer("404 "), status="404", reason="Not Found")
row("an unknown status without a reason gets one", answer("299"), status="299", reason="Unknown")
for status in ("", "OK", "20 OK", "2000 OK", "abc OK", " 200 OK", "200\tOK", "-20 OK", "099 Low", "100 Continue",
               "101 Switching Protocols", "199 Early", "200 OK\r\nX-Evil: 1", "200 O\nK", "200 O\rK", "200 O\0K",
               "200 \x7f"):
    row("status %r is refused" % status, answer(status), fails="ValueError", fields={"x-evil": None})
row("a status beyond latin-1 is refused", answer("200 \u2713"), fails="UnicodeEncodeError")
for status in (b"200 OK", 200, None, ("200", "OK")):
    row("status %r is no str" % (status,), answer(status), fails="TypeError")

# Headers: a list of (name, value) tuples, both str.
for headers in (None, {"X": "1"}, iter([("X", "1")]), "X: 1"):
    row("headers must be a list, not %s" % type(headers).__name__, answer(headers=headers), fails="TypeError")


@row("headers must be a list, not a tuple", fails="TypeError")
def headers_in_a_tuple(environ, start):
    start("200 OK", (("X", "1"),))
    return []


for item in (["X", "1"], ("X",), ("X", "1", "2"), "X1", None):
    row("a header must be a pair in a tuple, not %r" % (item,), answer(headers=[item]), fails="TypeError")
for name in (b"X", None, 1):
    row("a header's name must be str, not %r" % (name,), answer(headers=[(name, "1")]), fails="TypeError")
for value in (b"1", None, 1):
    row("a header's value must be str, not %r" % (value,), answer(headers=[("X", value)]), fails="TypeError")
for name in ("", "X Y", "X:", "X\r\n", "X\0", "X\t", "(X)", "caf\xe9"):
    row("RFC 9110 5.1: %r is no field name" % name, answer(headers=[(name, "1")]), fails="ValueError")
for value in ("a\nb", "a\rb", "a\r\nX-Evil: 1", "a\0b", "a\x01", "a\x7f", "a\r\n b"):
    row("RFC 9110 5.5: %r is no field value" % value, answer(headers=[("X", value)]), fails="ValueError",
        fields={"x-evil": None})
row("a value beyond latin-1 is refused", answer(headers=[("X", "\u20ac")]), fails="UnicodeEncodeError")
for value, sent in (("", b""), ("a b", b"a b"), ("a\tb", b"a\tb"), ("caf\xe9", b"caf\xe9"), ("caf\xc3\xa9", b"caf\xc3\xa9"),
                    ('"quoted, list"', b'"quoted, list"'), ("x" * 8000, b"x" * 8000)):
    row("value %.20r goes out byte for byte" % value, answer(headers=[("X-Value", value)]), fields={"x-value": sent})
row("repeated fields stay apart and in order",
    answer(headers=[("Set-Cookie", "a=1"), ("X", "y"), ("set-cookie", "b=2"), ("Set-Cookie", "a=3")]),
    fields={"set-cookie": [b"a=1", b"b=2", b"a=3"]})
row("the app's own Date and Server are kept",
    answer(headers=[("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("Server", "Mine")]),
    fields={"date": b"Thu, 01 Jan 1970 00:00:00 GMT", "server": b"Mine"})
for name, value in (("Connection", "close"), ("Keep-Alive", "timeout=5"), ("Proxy-Authenticate", "Basic"),
                    ("Proxy-Authorization", "x"), ("TE", "trailers"), ("Trailer", "X"), ("Transfer-Encoding", "chunked"),
                    ("Transfer-Encoding", "identity"), ("Upgrade", "h2c"), ("Proxy-Connection", "close"),
                    ("X-Tidegate", "cause=app_error"), ("x-tidegate", "length=1")):
    row("hop-by-hop %s is the server's: left out" % name, answer(headers=[(name, value)]), body=b"ok",
        fields={name.lower(): None})
row("Content-Length is checked whatever its case", answer(headers=[("content-LENGTH", "2")]), body=b"ok",
    fields={"content-length": b"2"})
row("the same Content-Length twice is one", answer(headers=[("Content-Length", "2"), ("Content-Length", "2")]),
    body=b"ok", fields={"content-length": b"2"})
for value in ("", "-1", "+2", "2a", "0x2", "2.0", "2, 2", "99999999999999999999999"):
    row("RFC 9110 8.6: %r is no Content-Length" % value, answer(headers=[("Content-Length", value)]), fails="ValueError")
row("two different Content-Lengths are refused", answer(headers=[("Content-Length", "2"), ("Content-Length", "3")]),
    fails="ValueError")


@row("start_response may be called late, in the first next()", body=b"late", reason="Late")
def late(environ, start):
    start("200 Late", [])
    yield b"late"


@row("not at all is an error", fails="AssertionError")
def not_at_all(environ, start):
    return []


@row("not at all is an error of a generator too", fails="AssertionError")
def not_at_all_in_a_generator(environ, start):
    yield b""
    yield b"text"


@row("a second call without exc_info is an error", fails="AssertionError")
def twice(environ, start):
    start("200 OK", [])
    start("200 OK", [])
    return []


@row("a second call with exc_info None is without exc_info", fails="AssertionError")
def twice_with_none(environ, start):
    start("200 OK", [])
    start("200 OK", [], None)
    return []


@row("exc_info replaces a response that has not begun", status="500", reason="Replaced", body=b"sorry",
     fields={"x-old": None, "x-new": b"1"})
def replaced(environ, start):
    start("200 OK", [("X-Old", "1"), ("Content-Length", "3")])
    start("500 Replaced", [("X-New", "1")], raised())
    return [b"sorry"]


@row("exc_info may come with the first call", status="500", body=b"sorry")
def exc_info_first(environ, start):
    start("500 Error", [], raised())
    return [b"sorry"]


@row("exc_info may be named, as some apps do", status="500", body=b"sorry")
def exc_info_named(environ, start):
    start("500 Error", [], exc_info=raised())
    return [b"sorry"]


@row("empty chunks do not begin the response, so it can still be replaced", status="500", body=b"sorry")
def replaced_after_an_empty_chunk(environ, start):
    start("200 OK", [])
    yield b""
    start("500 Error", [], raised())
    yield b"sorry"


@row("once it has begun, exc_info is raised again", body=b"begun", complete=False, log=b"ValueError: on purpose")
def too_late(environ, start):
    start("200 OK", [])
    yield b"begun"
    start("500 Error", [], raised())
    yield b"never"


@row("an app that got over that error goes on", body=b"begun and ended")
def too_late_but_caught(environ, start):
    start("200 OK", [])
    yield b"begun"
    try:
        start("500 Error", [], raised())
    except ValueError:
        yield b" and ended"


@row("a malformed exc_info is the app's error", body=b"begun", complete=False, log=b"TypeError")
def malformed_exc_info(environ, start):
    start("200 OK", [])(b"begun")
    start("500 Error", [], "not a tuple")
    return []


@row("an empty exc_info is the app's error, not ours", body=b"begun", complete=False, log=b"TypeError")
def empty_exc_info(environ, start):
    start("200 OK", [])(b"begun")
    start("500 Error", [], (None, None, None))
    return []


@row("an app may try again after a refused header", body=b"ok")
def second_try(environ, start):
    try:
        start("200 OK", [("X Y", "1")])
    except ValueError:
        pass
    return respond(start)


@row("headers are taken when start_response is called", body=b"ok", fields={"x-later": None})
def changed_later(environ, start):
    headers = []
    start("200 OK", headers)
    headers.append(("X-Later", "1"))
    return [b"ok"]


@row("write() goes before the iterable", body=b"one two three")
def write(environ, start):
    send = start("200 OK", [])
    send(b"one ")
    send(b"two ")
    return [b"three"]


@row("write() honours Content-Length", body=b"one", log=b"longer than its Content-Length", fields={"x-more": None})
def write_too_much(environ, start):
    send = start("200 OK", [("Content-Length", "3")])
    send(b"one two")
    return []


@row("write(b'') does not begin the response", status="500", body=b"")
def write_nothing(environ, start):
    start("200 OK", [])(b"")
    start("500 Error", [], raised())
    return []


for data in ("text", None, bytearray(b"x"), memoryview(b"x"), 1):
    def write_other(environ, start, data=data):
        start("200 OK", [])(data)
        return []
    row("write() takes bytes, not %s" % type(data).__name__, write_other, fails="TypeError")


@row("write() needs an argument", fails="TypeError")
def write_without(environ, start):
    start("200 OK", [])()
    return []
