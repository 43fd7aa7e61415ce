"""Says how much was sent, and at `/leak` keeps some kilobytes of every request for ever."""

KEPT = []
LEAK = 20_000


def application(environ, start_response):
    length = len(environ["wsgi.input"].read())
    if environ["PATH_INFO"] == "/leak":
        KEPT.append(bytearray(LEAK))
    body = b"%d" % length
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
