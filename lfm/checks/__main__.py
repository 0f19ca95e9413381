"""`python -m lfm.checks exam --seed 7`."""

from lfm.checks import main

if __name__ == "__main__":
    main()
