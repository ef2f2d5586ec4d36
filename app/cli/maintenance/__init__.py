"""Commands that maintain the data of a self-hosted installation."""
