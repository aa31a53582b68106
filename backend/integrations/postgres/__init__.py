"""The embedded PostgreSQL: a server of our own for a data folder, started and stopped with the program.

`embedded_postgres` must be entered from the main thread: Linux ties the server to the life of the *thread* that started
it (PR_SET_PDEATHSIG), and stops it when that thread ends.
"""

from .errors import AlreadyRunning, PostgresError
from .lock import hold_server_lock
from .server import embedded_postgres

__all__ = ["AlreadyRunning", "PostgresError", "embedded_postgres", "hold_server_lock"]
