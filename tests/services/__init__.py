"""Real servers for tests, as subprocesses of the fixtures that start them: PostgreSQL, SLURM, MLflow.

Everything lies in a temporary folder and listens on free ports of 127.0.0.1, so that services which run on
this machine already are neither used nor disturbed. Every server is sent a signal by the kernel when the
process that started it ends, however that ends. Contents: `postgres`, `slurm`, `mlflow`, `fixtures`.
"""
