"""``python -m tamannot``."""

from tamannot.cli import main

if __name__ == "__main__":
    main()
