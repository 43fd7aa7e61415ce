# Run by every worker's Python as `python -c THIS LIBRARY`: loads the worker library, whatever its file is called, and
# runs it in the main thread. Refuses what the library cannot be loaded by, in syntax that any Python understands.
import sys
refusal = None
if sys.version_info < (3, 9):
    refusal = "it is Python %d.%d, and 3.9 is the oldest that Tidegate serves" % sys.version_info[:2]
elif "free-threading" in sys.version:
    refusal = "it is a free-threaded build, for which this worker is not built: use Python %d.%d without the t" % sys.version_info[:2]
elif sys.maxsize < 2 ** 32:
    refusal = "it is a 32-bit build, and this Tidegate is a 64-bit one: install the 64-bit Python"
if refusal:
    sys.exit("tidegate cannot use %s: %s" % (sys.executable, refusal))
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
path = sys.argv[1]
spec = spec_from_file_location('tidegate_worker', path, loader=ExtensionFileLoader('tidegate_worker', path))
worker = module_from_spec(spec)
sys.modules['tidegate_worker'] = worker
spec.loader.exec_module(worker)
sys.exit(worker.main())
