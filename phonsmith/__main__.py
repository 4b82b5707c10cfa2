"""``python -m phonsmith COMMAND``: ``new`` writes a campaign file, ``check`` checks campaigns."""

import sys

from phonsmith.check import campaigns, new

COMMANDS = {"new": new.main, "check": campaigns.main}

USAGE = """\
usage: python -m phonsmith new NAME STRUCTURE... --reference vasp   write a campaign file
       python -m phonsmith check NAME...                            check campaign files
       python -m phonsmith {new,check} --help                       all options"""


def main() -> None:
    """Run the command that the first argument names."""
    command, *arguments = sys.argv[1:] or [""]
    if command in ("-h", "--help"):
        print(USAGE)
    elif not command:
        sys.exit(USAGE)
    elif command in COMMANDS:
        COMMANDS[command](arguments)
    else:
        sys.exit(
            f"phonsmith: unknown command '{command}'; use python -m phonsmith "
            f"{' or '.join(COMMANDS)}"
        )


main()
