"""Tests of `darkroom export` and `darkroom import`."""
