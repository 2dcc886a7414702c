"""`python -m thumbsmith`: the same as the command `thumbsmith`."""

from thumbsmith.cli import main

main()
