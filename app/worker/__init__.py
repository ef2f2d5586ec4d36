"""Processing of originals into variants. The only package that decodes images, in child processes."""
