"""Child process per image, confined by Landlock and seccomp."""
