"""Operator commands of the `darkroom` command."""
