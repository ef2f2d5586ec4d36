"""Table of API keys and webhook endpoints, which only the API may read and write."""
