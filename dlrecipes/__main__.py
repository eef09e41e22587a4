"""`python -m dlrecipes`: the command line."""

from dlrecipes.cli.main import main

main()
