"""Runs the tables: every row past the proxy's way and on it, each on a connection of its own."""

import unittest

import table_body
import table_environ
import table_input
import table_start_response
from harness import Response, Worker, dispatch, message


class Tables(unittest.TestCase):
    def run_table(self, module):
        worker = Worker(module.__name__ + ":application").ready()
        try:
            for number, row in enumerate(module.table.rows):
                ways = [True] if row.send["internal"] is not None else [False, True]
                if row.send["version"] == "1.0":
                    # The proxy speaks HTTP/1.1.
                    ways = [False]
                for proxied in ways:
                    with self.subTest(row.sentence, table=module.__name__, proxied=proxied):
                        self.check(worker, number, row, proxied)
        finally:
            worker.close()

    def check(self, worker, number, row, proxied):
        self.ask(worker, "/closed", {})
        options = dict(row.send)
        internal = options.pop("internal")
        mount = (internal or {}).get("mount", "")
        target = options.pop("target", None) or "%s/%d/%s" % (mount, number, options.pop("rest"))
        if proxied:
            options["internal"] = dispatch(**(internal or {}))[1]
        response = self.ask(worker, target, options)
        expect = dict(row.expect)
        fails = expect.pop("fails", None)
        if fails:
            self.assertEqual(response.status, "500", response.body)
            if proxied:
                self.assertEqual((response.headers.get("x-tidegate"), response.body), (b"cause=app_error", b""))
            worker.wait_for_error(("/%d/" % number).encode())
            worker.wait_for_error(fails.encode())
        else:
            self.assertEqual(response.status, expect.pop("status", "200"), worker.errors)
            self.assertEqual(response.complete, expect.pop("complete", True))
        for name, value in expect.pop("fields", {}).items():
            found = [content for field, content in response.fields if field == name]
            values = [] if value is None else value if isinstance(value, list) else [value]
            self.assertEqual(found, values, name)
        for name, value in expect.items():
            if name == "log":
                worker.wait_for_error(value)
            elif name == "closed":
                self.assertEqual(len(self.ask(worker, "/closed", {}).body.split()), value)
            else:
                self.assertEqual(getattr(response, name), value)

    def ask(self, worker, target, options):
        connection = worker.connect()
        try:
            connection.sendall(message(target, **options))
            return Response(connection, head_only=options.get("method") == "HEAD")
        finally:
            connection.close()

    def test_start_response(self):
        self.run_table(table_start_response)

    def test_body(self):
        self.run_table(table_body)

    def test_environ(self):
        self.run_table(table_environ)

    def test_input(self):
        self.run_table(table_input)
