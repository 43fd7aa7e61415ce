"""A worker without an app: says on its channel what the file `behaviour` asks for, a word and settings.

SIGUSR1 makes it send the message in the file `order`.
"""

import json
import os
import signal
import socket
import sys
import threading
import time

launch = json.loads(os.environ["TIDEGATE_LAUNCH"])
with open("launches", "a") as launches:
    launches.write(json.dumps(launch) + "\n")
mode = launch["mode"]
with open("behaviour") as file:
    behaviour, *words = file.read().split()
settings = dict(word.split("=", 1) for word in words)
if "lock" in settings:
    try:
        os.close(os.open(settings["lock"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        sys.exit("another process has the lock")

if behaviour == "die":
    print("dying")
    sys.stdout.write("without a line's end")
    sys.exit(3)
if mode["mode"] == "check":
    print("printed by the app")
    if behaviour == "import_error":
        print(json.dumps({"type": "import_failed", "error": "E: x", "traceback": "Traceback\nE: x"}))
        sys.exit(1)
    if behaviour == "hang":
        with open("pids", "a") as pids:
            pids.write(f"{os.getpid()}\n")
        time.sleep(600)
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


def answer():
    """The app: answers every request with the status in the setting."""
    while True:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as request, open("requests", "a") as requests:
            while line := request.readline().strip().decode():
                requests.write(line + "\n")
            # The test may look as soon as the answer is out.
            requests.flush()
            connection.sendall(f"HTTP/1.1 {settings['answer']} x\r\nContent-Length: 2\r\n\r\nok".encode())


# Only the first process serves that much: its replacement is to stay.
served = int(settings.get("requests", 0)) if launch["generation"] == 1 else 0
if "answer" in settings:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(mode["endpoint"].removeprefix("unix:"))
    listener.listen()
    threading.Thread(target=answer, daemon=True).start()
say(type="ready")

channel.settimeout(launch["heartbeat_ms"] / 1000)
received = b""
while True:
    try:
        chunk = channel.recv(4096)
    except TimeoutError:
        say(type="beat", busy=1, threads=2, requests=served)
        continue
    if not chunk:
        sys.exit(9)
    received += chunk
    if b'"stop"' in received:
        with open("stops", "a") as stops:
            stops.write(received.decode())
        if "lock" in settings:
            os.remove(settings["lock"])
        sys.exit(0)
