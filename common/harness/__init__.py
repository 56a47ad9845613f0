"""Bookkeeping: configs, run directories, sweeps, results files, tables and claims; no networks."""
