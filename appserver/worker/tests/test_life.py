"""A worker's life: import, ready, stop, exit."""

import json
import socket
import subprocess
import threading
import unittest

from harness import BOOTSTRAP, LIBRARY, PATIENCE, PROTOCOL, PYTHON, Response, Worker, dispatch, message


class Life(unittest.TestCase):
    def start(self, *args, **options):
        worker = Worker(*args, **options)
        self.addCleanup(worker.close)
        return worker

    def test_hello_says_who_serves(self):
        worker = self.start("app:factory()")
        hello = worker.expect("hello")
        self.assertEqual((hello["protocol"], hello["token"], hello["pid"]), (PROTOCOL, "t", worker.process.pid))
        worker.expect("ready")

    def test_a_python_that_cannot_load_the_library_is_refused(self):
        for change, reason in (("version_info = (3, 8)", "3.9 is the oldest"), ("version_info = (2, 7)", "Python 2.7"),
                               ("version = '3.14.0 free-threading build'", "without the t"),
                               ("maxsize = 2 ** 31 - 1", "64-bit")):
            with self.subTest(change):
                code = "import sys; sys.%s\n" % change + BOOTSTRAP
                refused = subprocess.run([PYTHON, "-c", code, LIBRARY], stderr=subprocess.PIPE, timeout=PATIENCE)
                self.assertEqual(refused.returncode, 1)
                self.assertRegex(refused.stderr.decode(), "^tidegate cannot use .*" + reason)

    def test_failed_import(self):
        for target, error in (("missing:app", "ModuleNotFoundError: No module named 'missing'"),
                              ("app:missing", "AttributeError"), ("app:not_callable", "TypeError"),
                              ("broken:app", "ZeroDivisionError"), ("exiting:app", "SystemExit")):
            with self.subTest(target):
                worker = self.start(target)
                worker.expect("hello")
                failed = worker.expect("import_failed")
                self.assertIn(error, failed["error"])
                self.assertIn(error.split(":")[0], failed["traceback"])
                self.assertNotIn("importlib", failed["traceback"])
                self.assertEqual(worker.process.wait(PATIENCE), 1)

    def test_check(self):
        worker = self.start(mode="check")
        self.assertEqual(json.loads(worker.process.stdout.read()), {"type": "ready"})
        self.assertEqual(worker.process.wait(PATIENCE), 0)
        worker = self.start("broken:app", mode="check")
        failed = json.loads(worker.process.stdout.read())
        self.assertEqual(failed["type"], "import_failed")
        self.assertIn("broken.py", failed["traceback"])
        self.assertEqual(worker.process.wait(PATIENCE), 1)

    def test_stop_finishes_what_runs(self):
        worker = self.start().ready()
        idle = worker.connect()
        connection = worker.connect()
        connection.sendall(message("/sleeps?0.5", internal=dispatch()[1]))
        worker.wait_until_busy()
        code = []
        stopper = threading.Thread(target=lambda: code.append(worker.stop()))
        stopper.start()
        self.assertEqual(Response(connection).body, b"slept")
        stopper.join()
        self.assertEqual(code, [0])
        idle.close()
        connection.close()

    def test_stop_gives_up_what_does_not_end(self):
        worker = self.start().ready()
        connection = worker.connect()
        connection.sendall(message("/sleeps", internal=dispatch()[1]))
        worker.wait_until_busy()
        self.assertEqual(worker.stop(drain_ms=200), 0)
        connection.close()

    def test_a_supervisor_that_does_not_read_holds_up_nobody(self):
        worker = self.start(deaf=True).ready()
        with worker.connect() as connection:
            file = connection.makefile("rb")
            # Each of them is worth a line of the worker's own, far more of them than any pipe holds.
            for _ in range(3000):
                connection.sendall(message("/long"))
                self.assertEqual(Response(connection, file=file).body, b"long")
            # What the app itself writes holds up its own request, and nothing else: neither beats nor others.
            worker.beat = {"busy": 0}
            stuck = worker.connect()
            stuck.sendall(message("/complains", internal=dispatch()[1]))
            worker.wait_until_busy()
            for _ in range(100):
                connection.sendall(message("/list"))
                self.assertEqual(Response(connection, file=file).body, b"one two")
            worker.beat = {"busy": 0}
            worker.wait_until_busy()
            file.close()
        worker.listen()
        worker.wait_for_error(b"lines are missing here, because nobody read them")
        self.assertEqual(Response(stuck).body, b"complained")
        stuck.close()
        self.assertEqual(worker.stop(), 0)

    def test_last_words_do_not_wait_for_a_supervisor_that_does_not_read(self):
        worker = self.start(deaf=True).ready()
        with worker.connect() as connection:
            file = connection.makefile("rb")
            for _ in range(3000):
                connection.sendall(message("/long"))
                Response(connection, file=file)
            file.close()
        self.assertEqual(worker.stop(), 0)

    def test_end_of_the_channel_is_the_end(self):
        worker = self.start().ready()
        worker.channel.shutdown(socket.SHUT_RDWR)
        worker.channel.close()
        self.assertIn(worker.process.wait(PATIENCE), (1, -9))

    def test_idle_worker_leaves_at_once(self):
        # Without the site module nothing imports threading before the worker does.
        for flags in ((), ("-S",)):
            worker = self.start("plain:application", flags=flags).ready()
            connection = worker.connect()
            connection.sendall(message("/"))
            self.assertEqual(Response(connection).body, b"MainThread")
            self.assertEqual(worker.stop(), 0)
            worker.wait_for_the_last_error()
            self.assertEqual(worker.errors, b"")
            connection.close()

    def test_thread_of_the_app_is_waited_for(self):
        worker = self.start("plain:with_thread").ready()
        self.assertEqual(worker.stop(), 0)
        worker.wait_for_the_last_error()
        self.assertEqual(worker.errors, b"the thread has ended\nexit function\n")
        worker = self.start("plain:with_stuck_thread").ready()
        self.assertEqual(worker.stop(), 0)
        worker.wait_for_error(b"leaving although the app has not finished")

    def test_threads_grow_with_the_requests(self):
        worker = self.start(threads_min=1, threads_max=16).ready()
        connections = [worker.connect() for _ in range(16)]
        for connection in connections:
            connection.sendall(message("/sleeps?0.5", internal=dispatch()[1]))
        for connection in connections:
            self.assertEqual(Response(connection).body, b"slept")
            connection.close()

        worker = self.start(threads_min=1, threads_max=1).ready()
        connection = worker.connect()
        for _ in range(3):
            connection.sendall(message("/context"))
            self.assertEqual(Response(connection).body, b"1")
        connection.close()
