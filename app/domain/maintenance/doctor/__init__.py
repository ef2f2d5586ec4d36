"""Diagnosis of an installation: its settings, machine, stores and unfinished work."""
