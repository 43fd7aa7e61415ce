"""Runs the command that its environment names, as an app would that wants to give orders, and shows how that ended."""
import json
import os
import subprocess


def app(environ, start_response):
    command = [os.environ["COMMAND"], "--config", os.environ["SITE_FILE"], "status"]
    finished = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
    body = json.dumps({"code": finished.returncode, "said": finished.stderr.decode(errors="replace")}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
