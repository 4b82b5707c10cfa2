"""``python -m phonsmith.check``."""

from phonsmith.check.campaigns import main

main()
