"""Run a command as a user without rights: `python -m tests.unprivileged.as_user USER FOLDER COMMAND...`.

Only root can run this. The user can read this project, its interpreter and FOLDER even where they lie in a folder that
only root may enter. The exit code is 77 where the kernel grants root no mount namespace, which this needs.
"""

import os
import sys
from pathlib import Path

from tests.cloud import restrictions

REFUSED = 77  # the exit code by which test programs say that they cannot run here


def main(user: str, folder: str, *command: str) -> None:
    """Become the user, then run the command."""
    os.umask(0o022)
    try:
        restrictions.own_mounts(is_root=True)
    except OSError as error:
        sys.stderr.write(f"no mount namespace can be made here: {error}\n")
        raise SystemExit(REFUSED) from None
    here = Path.cwd()
    restrictions.reveal([restrictions.ROOT, Path(sys.base_prefix), Path(folder)])
    os.chdir(here)
    os.setgroups([])
    os.setresgid(int(user), int(user), int(user))
    os.setresuid(int(user), int(user), int(user))
    os.environ.pop("PYTHONPATH")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
