"""PEP 3333, "environ Variables", and RFC 3875 behind it."""

import io

from table import Table, show

table = Table()
application = table.application
row = table.row


def key(name):
    return show(lambda environ: environ.get(name))


def text(value):
    return repr(value).encode("utf-8")


row("environ is a builtin dict", show(type), body=b"<class 'dict'>")
row("every key is a str", show(lambda environ: {type(key) for key in environ}), body=b"{<class 'str'>}")
row("every CGI value is a str",
    show(lambda environ: {type(value) for key, value in environ.items() if key.isupper()}), body=b"{<class 'str'>}")
row("the app may change it", show(lambda environ: environ.update(a=1) or environ.pop("REQUEST_METHOD")), body=b"'GET'")
row("the next request does not see that", show(lambda environ: ("a" in environ, environ["REQUEST_METHOD"])),
    body=b"(False, 'GET')")
for name, value in (
    ("wsgi.version", (1, 0)), ("wsgi.url_scheme", "http"), ("wsgi.multithread", True), ("wsgi.multiprocess", False),
    ("wsgi.run_once", False), ("wsgi.input_terminated", True), ("SCRIPT_NAME", ""), ("QUERY_STRING", ""),
    ("SERVER_PROTOCOL", "HTTP/1.1"), ("SERVER_NAME", "shop.example"), ("SERVER_PORT", "8443"), ("CONTENT_TYPE", None),
    ("CONTENT_LENGTH", None), ("HTTP_CONTENT_TYPE", None), ("HTTP_CONTENT_LENGTH", None), ("HTTPS", None),
    ("HTTP_HOST", "shop.example:8443"), ("HTTP_X_TIDEGATE", None), ("TIDEGATE_LAUNCH", None), ("PATH", None),
):
    row("%s is %r" % (name, value), key(name), body=text(value))
row("HTTP/1.0 is said to be that", key("SERVER_PROTOCOL"), version="1.0", body=b"'HTTP/1.0'")
for stream, names in (("wsgi.input", "read readline readlines __iter__"), ("wsgi.errors", "write writelines flush")):
    row("%s has the methods of its kind" % stream,
        show(lambda environ, stream=stream, names=names: [n for n in names.split() if not hasattr(environ[stream], n)]),
        body=b"[]")
row("wsgi.errors takes text only", lambda environ, start: environ["wsgi.errors"].write(b"bytes"), fails="TypeError")
row("wsgi.errors tells how much was written", show(lambda environ: environ["wsgi.errors"].write("caf\xe9\n")), body=b"5")
row("wsgi.errors can be printed to", show(lambda environ: print("printed", 1, file=environ["wsgi.errors"])), body=b"None",
    log=b"printed 1\n")
row("wsgi.errors takes any character", show(lambda environ: environ["wsgi.errors"].write("\u20ac \ud800\n")), body=b"4")

for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "X-OWN"):
    row("REQUEST_METHOD of %s" % method, key("REQUEST_METHOD"), method=method, body=text(method))

# PATH_INFO: percent-decoded once, bytes as latin-1; QUERY_STRING and RAW_URI as they came.
for rest, path in (
    ("", ""), ("a", "a"), ("a/", "a/"), ("a//b", "a//b"), ("a/./b/../c", "a/./b/../c"), ("a%2Fb", "a/b"), ("a%20b", "a b"),
    ("a+b", "a+b"), ("%41", "A"), ("caf%C3%A9", "caf\xc3\xa9"), ("caf%c3%a9", "caf\xc3\xa9"), ("%E9", "\xe9"),
    ("%25", "%"), ("%2541", "%41"), ("%zz", "%zz"), ("%4", "%4"), ("%", "%"), ("a;b=c", "a;b=c"), ("a:b@c", "a:b@c"),
    ("%3Fa", "?a"), ("%00", "\0"), ("~a!$&'()*,=", "~a!$&'()*,="), ("a?b", "a"), ("?", ""),
):
    row("PATH_INFO of %r" % rest, key("rest"), rest=rest, body=text(path))
for rest, query in (("?", ""), ("?a=b", "a=b"), ("?a=b&c=%20", "a=b&c=%20"), ("?a?b", "a?b"), ("?%zz", "%zz"),
                    ("?a=/b//c", "a=/b//c"), ("?a+b", "a+b"), ("?=", "=")):
    row("QUERY_STRING of %r is not decoded" % rest, key("QUERY_STRING"), rest=rest, body=text(query))
for name in ("RAW_URI", "REQUEST_URI"):
    row("%s is the target as it came" % name, show(lambda environ, name=name: environ[name].split("/", 2)[2]),
        rest="%2F//caf%C3%A9?a=%20b", body=b"'%2F//caf%C3%A9?a=%20b'")

# Header fields.
for sent, name, value in (
    (["X-A: 1"], "HTTP_X_A", "1"), (["x-a: 1"], "HTTP_X_A", "1"), (["X-A:1"], "HTTP_X_A", "1"),
    (["X-A:  1 \t"], "HTTP_X_A", "1"), (["X-A:"], "HTTP_X_A", ""), (["X-A: a b"], "HTTP_X_A", "a b"),
    (["X-A: caf\xe9"], "HTTP_X_A", "caf\xe9"), (["X-A: caf\xc3\xa9"], "HTTP_X_A", "caf\xc3\xa9"),
    (["X-A: 1", "X-A: 2", "x-a: 3"], "HTTP_X_A", "1,2,3"), (["X-A: 1", "X-B: 2", "X-A: 3"], "HTTP_X_B", "2"),
    (["Cookie: a=1"], "HTTP_COOKIE", "a=1"), (["Cookie: a=1", "Cookie: b=2"], "HTTP_COOKIE", "a=1; b=2"),
    (["Cookie: a=1; b=2", "Cookie: c=3"], "HTTP_COOKIE", "a=1; b=2; c=3"),
    (["Accept: a", "Accept: b"], "HTTP_ACCEPT", "a,b"), (["Content-Type: text/x; a=b"], "CONTENT_TYPE", "text/x; a=b"),
    (["Content-Type:"], "CONTENT_TYPE", ""), (["Content-Length: 0"], "CONTENT_LENGTH", "0"),
    (["Content-Length: 0"], "HTTP_CONTENT_LENGTH", None), (["Content-Type: a/b"], "HTTP_CONTENT_TYPE", None),
    (["X_A: evil"], "HTTP_X_A", None), (["X_A: evil", "X-A: good"], "HTTP_X_A", "good"),
    (["Content_Length: 5"], "CONTENT_LENGTH", None), (["Content_Type: evil/x"], "CONTENT_TYPE", None),
    (["Proxy: evil"], "HTTP_PROXY", None), (["proxy: evil"], "HTTP_PROXY", None), (["X_Tidegate: n=1"], "HTTP_X_TIDEGATE", None),
    (["Authorization: Basic eDp5"], "HTTP_AUTHORIZATION", "Basic eDp5"), (["X-1.2: a"], "HTTP_X_1.2", "a"),
    (["X-Long: " + "y" * 8000], "HTTP_X_LONG", "y" * 8000), (["HTTP-Host: x"], "HTTP_HTTP_HOST", "x"),
):
    row("%.40r gives %s %.20r" % (sent, name, value), key(name), headers=sent, body=text(value))
row("a body's CONTENT_LENGTH is the one sent", key("CONTENT_LENGTH"), method="POST", data=b"abc", body=b"'3'")
row("a chunked body has no CONTENT_LENGTH", key("CONTENT_LENGTH"), method="POST", headers=["Transfer-Encoding: chunked"],
    data=b"3\r\nabc\r\n0\r\n\r\n", length=False, body=b"None")

# What the proxy says.
for internal, name, value in (
    (dict(https=1), "wsgi.url_scheme", "https"), (dict(https=1), "HTTPS", "on"), (dict(https=0), "HTTPS", None),
    (dict(), "REMOTE_ADDR", "192.0.2.7"), (dict(), "REMOTE_PORT", "50123"), (dict(version=20), "SERVER_PROTOCOL", "HTTP/2"),
    (dict(version=10), "SERVER_PROTOCOL", "HTTP/1.0"), (dict(request_id="a.b-C_1"), "tidegate.request_id", "a.b-C_1"),
    (dict(mount="/shop"), "SCRIPT_NAME", "/shop"), (dict(mount="/a/b"), "SCRIPT_NAME", "/a/b"),
):
    row("%s %r of a dispatched request" % (name, value), key(name), internal=internal, body=text(value))
row("PATH_INFO is what follows the mount", show(lambda environ: "/shop" not in environ["PATH_INFO"]),
    internal=dict(mount="/shop"), rest="x", body=b"True")
row("SCRIPT_NAME and PATH_INFO make up the path", show(lambda environ: (environ["SCRIPT_NAME"] + environ["PATH_INFO"]) == environ["RAW_URI"]),
    internal=dict(mount="/shop"), rest="x//y/", body=b"True")
