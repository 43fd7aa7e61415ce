"""A short answer, a page of 256 KiB, and the length of what was sent."""

LARGE = b"x" * (256 << 10)


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/large":
        body = LARGE
    elif path == "/upload":
        body = b"%d" % len(environ["wsgi.input"].read())
    else:
        body = b"Hello, world!"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
