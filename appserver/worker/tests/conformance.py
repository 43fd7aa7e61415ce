"""PEP 3333, HTTP and Tidegate's own contract, against a real worker.

    python appserver/worker/tests/conformance.py LIBRARY [TESTS]

Runs the test_ files beside it, each against workers of its own that `harness.py` starts. A case is a test, or a row of
a test's table; the rows name the sentence that they check.
"""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


class Result(unittest.TextTestResult):
    """Counts the rows of tables."""

    rows = 0

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        self.rows += 1


def main():
    os.environ["TIDEGATE_TEST_LIBRARY"] = os.path.abspath(sys.argv[1])
    # The Python of Windows' embeddable package ignores the script's own directory.
    sys.path.insert(0, HERE)
    loader = unittest.TestLoader()
    loader.testNamePatterns = ["*%s*" % name for name in sys.argv[2:]] or None
    suite = loader.discover(HERE, "test_*.py")
    result = unittest.TextTestRunner(resultclass=Result, warnings="ignore").run(suite)
    print("cases: %d" % (result.testsRun + result.rows))
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
