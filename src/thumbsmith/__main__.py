"""`python -m thumbsmith` runs the command `thumbsmith`."""

from thumbsmith.cli import main

main()
