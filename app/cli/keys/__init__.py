"""`darkroom key`: API keys in the store and in the settings."""
