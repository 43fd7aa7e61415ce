"""Says with which configuration it was started and where it is mounted."""
import os


def application(environ, start_response):
    body = f"{os.environ['ROUND']} {environ['SCRIPT_NAME']}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
