"""Loaded first by the fork server: nobody looks into it, and its children recognize it as their parent."""

import os

from app import prctl

SERVER = os.getpid()

prctl.hide()
