"""Models, rules and ports of the service. No HTTP, no database, no decoder."""
