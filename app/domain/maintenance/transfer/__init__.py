"""Export of an installation into a folder, and import of such a folder or of any folder of images."""
