"""How jobs run: context, attempts, subprocesses, process pool, cluster, site. Imports no stage."""
