"""`python -m orbitconv`, and so `torchrun -m orbitconv`."""

from orbitconv.cli import main

if __name__ == "__main__":
    main()
