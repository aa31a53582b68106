"""`python -m tests.screenplays` prints how well scripts are read: the table of docs/scripts.md."""

import sys

from tests.screenplays.measuring import rows, table

sys.stdout.write(table(rows()))
