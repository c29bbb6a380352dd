"""What operators are told of directories that cannot be used: the key that names them, what is wrong, and the remedy."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

_REMEDIES: Final = {
    errno.EROFS: "mount it so that it can be written, or let {key} name a directory elsewhere",
    errno.ENOSPC: "make room there, or let {key} name a directory on another disk",
    errno.EDQUOT: "make room there, or let {key} name a directory on another disk",
    errno.ENOTDIR: "move the file away that stands there, or let {key} name another directory",
    errno.EEXIST: "move the file away that stands there, or let {key} name another directory",
    errno.EMFILE: "raise the limit of open files (ulimit -n, LimitNOFILE)",
    errno.ENFILE: "raise the system's limit of open files (fs.file-max)",
}


def unusable(key: str, directory: Path, error: OSError) -> str:
    """Why a directory cannot be used, as a sentence.

    Args:
        key: the key of the configuration that names it.
        directory: as it stands there.
        error: what the system said.
    """
    what = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        what += f" for user {os.geteuid()}"
    remedy = _REMEDIES.get(error.errno or 0, "let it belong to the daemon's user, or let {key} name another")
    absolute = "" if directory.is_absolute() else f" ({directory.absolute()})"
    return f"{key}: {directory}{absolute} cannot be used: {what}; {remedy.format(key=key)}"


def in_use(key: str, directory: Path, holder: str) -> str:
    """That another process has a directory, as a sentence.

    Args:
        key, directory: as of `unusable`.
        holder: its process id; empty if that is not known.
    """
    absolute = "" if directory.is_absolute() else f" ({directory.absolute()})"
    by = f"the process with id {holder}" if holder else "another process"
    return f"{key}: {directory}{absolute} is in use by {by}; stop it, or let {key} name another directory"
