"""Tests of the modules for pages of other sites."""
