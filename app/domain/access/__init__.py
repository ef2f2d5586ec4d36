"""API keys, scopes and signatures."""
