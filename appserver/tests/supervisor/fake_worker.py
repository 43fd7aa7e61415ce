"""A worker without an app: says on its channel what the file `behaviour` asks for.

SIGUSR1 makes it send the message in the file `order`.
"""

import json
import os
import signal
import socket
import sys
import time

launch = json.loads(os.environ["TIDEGATE_LAUNCH"])
with open("launches", "a") as launches:
    launches.write(json.dumps(launch) + "\n")
mode = launch["mode"]
with open("behaviour") as file:
    behaviour = file.read().strip()

if behaviour == "die":
    print("dying")
    sys.stdout.write("without a line's end")
    sys.exit(3)
if mode["mode"] == "check":
    print("printed by the app")
    if behaviour == "import_error":
        print(json.dumps({"type": "import_failed", "error": "E: x", "traceback": "Traceback\nE: x"}))
        sys.exit(1)
    print(json.dumps({"type": "ready"}))
    sys.exit(0)

channel = socket.socket(socket.AF_UNIX)
channel.connect(mode["channel"].removeprefix("unix:"))


def say(**message):
    channel.sendall(json.dumps(message).encode() + b"\n")


def send_order(*_):
    with open("order", "rb") as order:
        channel.sendall(order.read())


signal.signal(signal.SIGUSR1, send_order)
protocol = 99 if behaviour == "old" else launch["protocol"]
token = "wrong" if behaviour == "impostor" else mode["token"]
say(type="hello", protocol=protocol, token=token, pid=os.getpid(), python="3.0.0", executable=sys.executable)
if behaviour == "import_error":
    say(type="import_failed", error="ImportError: nope", traceback="Traceback\n  here\nImportError: nope")
    sys.exit(1)
if behaviour in ("hang", "impostor"):
    time.sleep(600)
say(type="ready")

channel.settimeout(launch["heartbeat_ms"] / 1000)
received = b""
while True:
    try:
        chunk = channel.recv(4096)
    except TimeoutError:
        say(type="beat", busy=1, threads=2)
        continue
    if not chunk:
        sys.exit(9)
    received += chunk
    if b'"stop"' in received:
        with open("stops", "a") as stops:
            stops.write(received.decode())
        sys.exit(0)
