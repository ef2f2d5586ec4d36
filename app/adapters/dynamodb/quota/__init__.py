"""Usage of owners, which quotas limit."""
