"""Table of API keys, which only the API may read and write."""
