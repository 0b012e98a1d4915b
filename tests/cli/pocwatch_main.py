"""`python -m pocwatch_main`: the command line as a module, which worker processes can be spawned from."""

from __future__ import annotations

from pocwatch.cli.main import main

if __name__ == "__main__":
    main()
