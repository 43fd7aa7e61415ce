"""A short answer, a long one, and the length of what was sent: for clients that take a second for each byte."""

LARGE = [b"x" * (4 << 20)]


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/large":
        body = LARGE
    elif path == "/upload":
        body = [b"%d" % len(environ["wsgi.input"].read())]
    else:
        body = [b"Hello, world!"]
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body[0])))])
    return body
