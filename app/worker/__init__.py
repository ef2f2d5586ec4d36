"""Turning originals into variants. The only room that decodes pictures, and it does so in child processes."""
