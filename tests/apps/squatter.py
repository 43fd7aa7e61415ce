"""Listens by the app server's name under another account: a program that was there first. The name is the only argument."""

import ctypes
import os
import sys

ANOTHER_USER = 65534
ANOTHER_ACCOUNT = "S-1-5-21-1-2-3-1001"


def listen_on_pipe(name):
    """Windows lets only those who may restore files make a pipe for somebody else; Wine lets everybody."""
    from ctypes import wintypes

    class Attributes(ctypes.Structure):
        _fields_ = [("size", wintypes.DWORD), ("descriptor", ctypes.c_void_p), ("inherit", wintypes.BOOL)]

    convert = ctypes.WinDLL("advapi32").ConvertStringSecurityDescriptorToSecurityDescriptorW
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateNamedPipeW.restype = wintypes.HANDLE
    kernel.CreateNamedPipeW.argtypes = [wintypes.LPCWSTR] + [wintypes.DWORD] * 6 + [ctypes.c_void_p]
    descriptor = ctypes.c_void_p()
    assert convert("O:%sD:(A;;GA;;;WD)" % ANOTHER_ACCOUNT, 1, ctypes.byref(descriptor), None)
    attributes = Attributes(ctypes.sizeof(Attributes), descriptor, False)
    instances = []
    # Enough for every try of its victims: one that waits is there for each.
    for _ in range(250):
        pipe = kernel.CreateNamedPipeW(name, 3, 0, 255, 4096, 4096, 0, ctypes.byref(attributes))
        if pipe == wintypes.HANDLE(-1).value:
            print("refused", ctypes.get_last_error(), flush=True)
            sys.exit()
        instances.append(pipe)


def listen_on_socket(path):
    import socket

    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    # Who listens is whom clients see.
    os.setuid(ANOTHER_USER)
    listener.listen(250)
    return listener


listening = (listen_on_pipe if sys.platform == "win32" else listen_on_socket)(sys.argv[1])
print("listening", flush=True)
sys.stdin.read()
