"""Slots and deadlines: the proxy learns of every thread that is back."""

import time
import unittest

from harness import PATIENCE, Case, Response, Worker, dispatch, message


class Slots(Case):
    def test_client_that_leaves_gives_its_slot_back(self):
        self.closes()
        number, internal = dispatch()
        connection = self.worker.connect()
        connection.sendall(message("/closing-endless", internal=internal))
        connection.recv(1000)
        connection.close()
        self.worker.expect_slot_back(number)
        self.assertEqual(self.closes(), "['endless']")

    def test_client_that_leaves_with_its_request_gives_every_slot_back(self):
        sent = []
        for round in range(300):
            number, internal = dispatch()
            connection = self.worker.connect()
            path, body = (("/list", b""), ("/echo", b"x" * 2000), ("/sleeps?0.001", b""))[round % 3]
            connection.sendall(message(path, "POST" if body else "GET", body=body, internal=internal))
            connection.close()
            sent.append(number)
        self.worker.expect_slots_back(sent)

    def test_client_that_leaves_while_the_app_works(self):
        number, internal = dispatch()
        connection = self.worker.connect()
        connection.sendall(message("/sleeps?0.3", internal=internal))
        connection.close()
        self.worker.expect_slot_back(number)

    def test_slow_reader_is_not_timed_out(self):
        number, internal = dispatch(idle=300)
        connection = self.worker.connect()
        connection.sendall(message("/closing-endless", internal=internal))
        connection.recv(1000)
        time.sleep(1)
        self.assertTrue(connection.recv(1 << 20))
        connection.close()
        self.worker.expect_slot_back(number)


class Timeouts(unittest.TestCase):
    def setUp(self):
        self.worker = Worker().ready()

    def tearDown(self):
        self.worker.close()

    def timed_out(self, path):
        number, internal = dispatch(timeout=300)
        connection = self.worker.connect()
        connection.sendall(message(path, internal=internal))
        response = Response(connection)
        self.assertEqual((response.status, response.headers["x-tidegate"]), ("502", b"cause=worker_timeout"))
        connection.close()
        return number, self.worker.expect("timed_out")

    def test_many_timeouts_at_once(self):
        sent = {}
        for _ in range(8):
            number, internal = dispatch(timeout=500, request_id="many")
            sent[number] = self.worker.connect()
            sent[number].sendall(message("/sleeps?1.5", internal=internal))
        for connection in sent.values():
            self.assertEqual(Response(connection).headers["x-tidegate"], b"cause=worker_timeout")
        records, backs, condemned = 0, set(), 0
        while records < 8 or len(backs) < 8 or condemned < 8:
            said = self.worker.messages.get(timeout=PATIENCE)
            records += said["type"] == "timed_out"
            condemned += said["type"] == "condemned"
            if said["type"] == "slot_back":
                backs.add(said["dispatch"])
        self.assertEqual(backs, set(sent))
        for connection in sent.values():
            connection.close()

    def test_loop_is_interrupted(self):
        number, record = self.timed_out("/spins?secret=1")
        self.assertIn("in spins", record["stack"])
        self.assertEqual((record["method"], record["path"], record["request_id"]), ("GET", "/spins", "rid-1"))
        first, second = self.worker.messages.get(timeout=PATIENCE), self.worker.messages.get(timeout=PATIENCE)
        self.assertEqual(first, {"type": "slot_back", "dispatch": number})
        self.assertEqual(second, {"type": "condemned", "returned": True, "because": "timeout"})
        # The exception hit that request alone.
        for _ in range(5):
            connection = self.worker.connect()
            connection.sendall(message("/list", internal=dispatch()[1]))
            self.assertEqual(Response(connection).body, b"one two")
            connection.close()

    def test_sleep_cannot_be_interrupted(self):
        _, record = self.timed_out("/sleeps")
        self.assertIn("in sleeps", record["stack"])
        self.assertEqual(self.worker.expect("condemned"), {"type": "condemned", "returned": False, "because": "timeout"})

    def test_held_gil_has_no_stack_but_a_dump(self):
        number, record = self.timed_out("/holds-gil")
        self.assertIsNone(record["stack"])
        self.assertIn("holds the GIL", record["no_stack"])
        self.worker.wait_for_error(b"in holds_gil")
        self.assertEqual(self.worker.expect("condemned")["returned"], False)
        self.worker.expect_slot_back(number)

    def test_stalled_stream_is_cut_short(self):
        number, internal = dispatch(idle=300)
        connection = self.worker.connect()
        connection.sendall(message("/stalls", internal=internal))
        response = Response(connection)
        self.assertEqual((response.body, response.complete), (b"first", False))
        self.assertIn("in chunks", self.worker.expect("timed_out")["stack"])
        self.worker.expect_slot_back(number)
        self.assertEqual(self.worker.expect("condemned"), {"type": "condemned", "returned": True, "because": "timeout"})
        connection.close()
