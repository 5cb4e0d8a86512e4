"""`python -m producers`."""

from producers.commands import main

if __name__ == "__main__":
    main(prog_name="python -m producers")
