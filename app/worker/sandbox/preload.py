"""First module that the fork server loads: it hides its memory and notes its id, by which children recognize it."""

import os

from app import linux

SERVER = os.getpid()

linux.hide()
