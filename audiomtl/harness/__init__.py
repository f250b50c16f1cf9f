"""Studies, trainings, records and reports. MLflow is imported only in this package, which turns its telemetry
off before the import.

Child processes (trainings, ``mlflow ui``) inherit the variables. A value set by the user stays.
"""

import os

from audiomtl import system

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")  # the same for any other package that asks

system.short_sockets()  # before the first process is started
