"""Shows the request as the app sees it: the environ as JSON, with the body's text."""
import json


def app(environ, start_response):
    seen = {name: value if isinstance(value, (str, bool, int)) else repr(value) for name, value in environ.items()}
    seen["body"] = environ["wsgi.input"].read().decode("latin-1")
    body = json.dumps(seen).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
