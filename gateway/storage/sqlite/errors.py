"""What SQLite's errors mean to a store's callers: the one place that maps them. It opens, reads and writes nothing.

Called by the other modules of this folder, each for its own kind of work.
"""

from __future__ import annotations

import logging
import sqlite3
import traceback
from pathlib import Path

from gateway.errors import Conflict, GatewayError, InvalidValue, StoreUnavailable

_log = logging.getLogger("gateway.storage")
_REASONS = {
    "SQLITE_NOTADB": "it is not a SQLite database.",
    "SQLITE_CORRUPT": "the file is damaged.",
    "SQLITE_BUSY": "another program has locked it.",
    "SQLITE_READONLY": "it is read-only.",
    "SQLITE_FULL": "the disk is full.",
    "SQLITE_CANTOPEN": "it can't be opened or made there.",
}


def unusable(path: Path, reason: str) -> StoreUnavailable:
    """Return the error that names the file. `reason` is a clause with a full stop."""
    return StoreUnavailable(f"The store {path} can't be used: {reason}")


def reason_of(error: Exception) -> str:
    """Return what a sqlite3 error means, as a clause for `unusable`."""
    name: str = getattr(error, "sqlite_errorname", "")
    for prefix, reason in _REASONS.items():
        if name.startswith(prefix):
            return reason
    return f"{error}."


def read_error(error: Exception) -> GatewayError:
    """Return the error for the caller of a statement that only reads."""
    if isinstance(error, (UnicodeEncodeError, OverflowError)):
        return InvalidValue("A value can't be stored.")
    if isinstance(error, sqlite3.OperationalError) and "JSON path" in str(error):
        return InvalidValue("No field of JSON has such a name.")
    if _of_statement(error):
        _note(error)
        return InvalidValue("This can't be looked for.")
    return StoreUnavailable("The store can't be read right now.", retry_after=1)


def is_store_fault(error: Exception) -> bool:
    """Return True where SQLite failed for a reason that is none of the script's: its batch fails as a whole."""
    of_script = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError, sqlite3.InterfaceError)
    return isinstance(error, sqlite3.Error) and not isinstance(error, of_script) and not _of_statement(error)


def script_error(error: Exception) -> Exception:
    """Return the error for the caller of a script that failed by its own fault, while the batch goes on."""
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict("It exists already.")
    if _of_statement(error):
        _note(error)
        return InvalidValue("A value can't be stored.")
    if isinstance(error, (sqlite3.DataError, ValueError, OverflowError)) and not isinstance(error, GatewayError):
        return InvalidValue("A value can't be stored.")
    return error


def _of_statement(error: Exception) -> bool:
    """Return True where a statement can't be run with these values, now or later: a caller mustn't be told to retry."""
    return getattr(error, "sqlite_errorname", "") == "SQLITE_ERROR"


def _note(error: Exception) -> None:
    """Log where it was. SQLite's own message isn't, since it may quote what the caller sent."""
    _log.error("A statement can't be run: %s", "".join(traceback.format_tb(error.__traceback__)))


def write_error() -> StoreUnavailable:
    """Return the error for the callers of a batch that wasn't committed."""
    return StoreUnavailable("The store can't take this right now.", retry_after=1)
