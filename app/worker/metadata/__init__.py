"""EXIF, XMP, IPTC and ICC: facts, rights, privacy and orientation."""
